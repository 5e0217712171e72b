import Image from 'next/image';
import { headers } from 'next/headers';

export default function Tea() {
  return <Image alt={headers().get('host')} src="/tea.png" width="8" height="8" />;
}
