// A message centre for tests: npm smpp's server on the loopback, driven by JSON lines and telling what it sees in others.
// usage: node smpp_centre.js <port or 0> <password>
'use strict';
const readline = require('readline');
const smpp = require('smpp');

const tell = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');

let password = process.argv[3];
let session = null;
let number = 0;
let late = null;
let deaf = false;
const answers = []; // what the next submit_sm are answered with: a status, "silence", or by default success

function answerSubmit(pdu) {
  number += 1;
  const how = answers.length ? answers.shift() : 0;
  const message = pdu.short_message.message;
  tell('submit', {
    from: pdu.source_addr, from_ton: pdu.source_addr_ton, from_npi: pdu.source_addr_npi,
    to: pdu.destination_addr, to_ton: pdu.dest_addr_ton, to_npi: pdu.dest_addr_npi,
    coding: pdu.data_coding, esm_class: pdu.esm_class, receipt: pdu.registered_delivery,
    payload: pdu.message_payload !== undefined,
    udh: (pdu.short_message.udh || []).map((element) => element.toString('hex')),
    text: Buffer.isBuffer(message) ? message.toString('hex') : message, id: `m${number}`, how,
  });
  if (how === 'silence') return;
  if (how === 'late') { late = pdu.response({ message_id: `m${number}` }); return; }
  if (how === 'drop') { session.destroy(); return; }
  session.send(how ? pdu.response({ command_status: how }) : pdu.response({ message_id: `m${number}` }));
}

function greet(found) {
  found.on('error', () => {});
  found.on('close', () => tell('closed'));
  found.on('enquire_link', (pdu) => { tell('enquired'); if (!deaf) found.send(pdu.response()); });
  found.on('unbind', (pdu) => { tell('unbound'); found.send(pdu.response()); found.close(); });
  found.on('submit_sm', answerSubmit);
  found.on('bind_transceiver', (pdu) => {
    if (pdu.password !== password) {
      found.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }), () => {}, () => found.close());
      tell('refused', { system_id: pdu.system_id });
      return;
    }
    session = found;
    found.send(pdu.response({ system_id: 'CENTRE' }));
    tell('bound', { system_id: pdu.system_id, system_type: pdu.system_type, version: pdu.interface_version });
  });
}

function deliver({ name, octets, udh, message, ...fields }) {
  const pdu = { source_addr: '8613800000001', source_addr_ton: 1, source_addr_npi: 1, destination_addr: '95001', ...fields };
  if (octets !== undefined) pdu.short_message = Buffer.from(octets, 'hex');
  else if (udh) pdu.short_message = { udh: Buffer.from(udh, 'hex'), message };
  else pdu.short_message = message;
  session.deliver_sm(pdu, (response) => tell('answered', { name, status: response.command_status }));
}

const orders = {
  deliver,
  many: ({ texts }) => texts.forEach((text) => deliver(text)),
  enquire: () => session.enquire_link({}, (response) => tell('alive', { status: response.command_status })),
  strange: () => session.query_sm({ message_id: 'x' }, () => {}),
  password: ({ value }) => { password = value; },
  answer: ({ next }) => answers.push(...next),
  answer_late: () => session.send(late),
  deaf: ({ value }) => { deaf = value; },
  unbind: () => session.unbind(() => tell('unbind_answered')),
  drop: () => session.destroy(),
};

const server = smpp.createServer(greet);
const listen = () => server.listen(Number(process.argv[2]), '127.0.0.1');
server.on('listening', () => tell('listening', { port: server.address().port }));
server.on('error', (error) => { // after a restart: somebody has the port for a moment
  if (error.code !== 'EADDRINUSE') throw error;
  setTimeout(listen, 100);
});
listen();
readline.createInterface({ input: process.stdin })
  .on('line', (line) => { const { order, ...facts } = JSON.parse(line); orders[order](facts); tell('done'); })
  .on('close', () => process.exit(0));
