/** Why a channel is over. */
export type Lost = {
  is: 'lost';
  why:
    | 'closed' // by us
    | 'hung-up' // the VMM closed the line, or it broke
    | 'asked-to-sync' // the agent lost the thread
    | 'damage' // the bytes are not frames
    | 'broke-protocol'; // frames that no agent of ours sends: a hostile guest
  detail: string;
};
