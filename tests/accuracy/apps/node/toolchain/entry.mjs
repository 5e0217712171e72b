export const tea = (x) => x ?? 1;
