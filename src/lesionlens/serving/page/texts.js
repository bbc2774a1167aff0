// Sentences that depend on where predictions are made: here, on a server. The static site of `lesionlens site`
// uses the same modules with its own `texts.js` and `api.js`.

export const TEXTS = {
  takesAtMost: "this server takes at most",
  sending: "Sending",
  waits: "Waits for the server",
  listEmpty: "The list is empty. Logged predictions stay in the history.",
  loading: "The picture is being loaded.",
  notShown: "The server no longer has this picture, and it is not in this tab.",
  reviewBlind: "The picture is gone. You would review this prediction without seeing the lesion; send the image again to see it.",
  byHand: "Patient, site of the lesion (by hand; the server knows neither)",
  privacy: "Images are sent to this server only. Predictions are logged; images are not, unless the server keeps them.",
};
