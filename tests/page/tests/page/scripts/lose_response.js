// Lets the next message reach the server, but not its response the page.
const real = window.fetch;
window.fetch = async (address, options) => {
  const response = await real(address, options);
  if (!String(address).endsWith('/messages/send')) return response;
  window.fetch = real;
  throw new TypeError('the connection was lost');
};
