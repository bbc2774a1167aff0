// The one rule for shares in per cent; `core.percent` in Python follows it too. It knows no language.

/** A share in [0, 1] as `sign` (`>`, `<` or none) and `number` (per cent, text). Nothing reads as 0 or 100: nobody has that certainty. */
export function roundedPercent(share, decimals = 1) {
  const rounded = (100 * Number(share.toFixed(6))).toFixed(decimals);
  if (Number(rounded) >= 100) return { sign: ">", number: (100 - 10 ** -decimals).toFixed(decimals) };
  if (Number(rounded) <= 0) return { sign: "<", number: (10 ** -decimals).toFixed(decimals) };
  return { sign: "", number: rounded };
}
