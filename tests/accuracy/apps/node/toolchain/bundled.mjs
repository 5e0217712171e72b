import clsx from 'clsx';

export const tea = (x) => clsx(x ?? 'green');
