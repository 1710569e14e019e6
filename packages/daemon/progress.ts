/** What goes on, told to whoever asked for it. */
export type Progress = (step: { name: string; done?: number; total?: number; unit?: string }) => void;
