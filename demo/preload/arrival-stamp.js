/**
 * Loaded into a web server before the shop: an answer says which process gave it, and when its request had arrived
 * there in full, in nanoseconds of the clock that all processes of the machine share. The shop knows nothing of it.
 */
const { channel } = require('node:diagnostics_channel');

channel('http.server.request.start').subscribe(({ request, response }) => {
  request.once('end', () => {
    if (response.headersSent) return;
    response.setHeader('x-server', process.pid);
    response.setHeader('x-arrived-at', String(process.hrtime.bigint()));
  });
});
