import Head from 'next/head';

export const getServerSideProps = async () => ({ props: { now: Date.now() } });

export default function Home({ now }) {
  return (
    <p>
      <Head>
        <title>Tea</title>
      </Head>
      {now}
    </p>
  );
}
