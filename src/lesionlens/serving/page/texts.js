// Sentences that depend on where predictions are made: here, on a server. The static site of `lesionlens site`
// uses the same modules with its own `texts.js` and `api.js`.

export const TEXTS = {
  takesAtMost: "this server takes at most",
  sending: "Sending",
  waits: "Waits for the server",
  listEmpty: "The list is empty. Logged predictions stay in the history.",
  notShown: "The picture is not kept on the server and is no longer in this tab.",
  opacityFixed: "The server laid the map over the picture, so its opacity is fixed.",
  byHand: "Patient, site of the lesion (by hand; the server knows neither)",
  privacy: "Images are sent to this server only. Predictions are logged; images are not, unless the server keeps them.",
};
