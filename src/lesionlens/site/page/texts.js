// Sentences that depend on where predictions are made: here, on this device. The server's page has its own `texts.js`.

export const TEXTS = {
  takesAtMost: "this page takes at most",
  sending: "Reading",
  waits: "Waits for the network to load",
  listEmpty: "The list is empty. Nothing of it is stored.",
  loading: "The picture is being loaded.",
  notShown: "The picture is no longer in this tab.",
  reviewBlind: "The picture is gone. You would review this prediction without seeing the lesion.",
  byHand: "Patient, site of the lesion (by hand; the page knows neither)",
  privacy: "Images are read by this page on this device, and sent to nobody. Predictions are forgotten when the tab is closed.",
};
