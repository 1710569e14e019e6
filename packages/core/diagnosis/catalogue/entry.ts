export type CatalogueEntry = {
  title: string;
  /** what to do; a rule that knows more says more */
  fix: string;
  /** as an argument vector, words in capitals are for the reader to fill in */
  command?: readonly string[];
  /** what observation would show the cause to be wrong */
  disproof: string;
};
