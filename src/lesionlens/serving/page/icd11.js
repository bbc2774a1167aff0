// Codes of the diagnoses in ICD-11 for Mortality and Morbidity Statistics. A class that gathers several diseases has the code
// of each that it is sure to hold, or none.

export const ICD11 = {
  ak: "EK90.0",
  akiec: "EK90.0, 2E64.0",
  atypical_nevus: "2F20.1",
  bcc: "2C32",
  common_nevus: "2F20.0",
  df: "2F23.0",
  mel: "2C30",
  nv: "2F20",
  scc: "2C31",
  sk: "2F21.0",
};
