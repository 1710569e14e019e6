export { Page, pairs, withoutSecrets } from './page.ts';
export { controllerPage, differencesOfBoots, type ControllerOrder } from './controller.ts';
export { guestPage, silentGuestPage, type GuestTold } from './guest.ts';
export { proofPage } from './proof.ts';
export { requestedPage, type RequestedOrder } from './requested.ts';
