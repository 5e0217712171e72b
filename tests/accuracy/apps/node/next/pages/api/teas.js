export default function teas(request, response) {
  response.json(['green', 'black']);
}
