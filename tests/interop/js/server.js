// A server of grpc-js that does what the requests say (tests/interop/interop_test.cpp); bytes in, bytes out.
'use strict';
const grpc = require('@grpc/grpc-js');

const bytes = (value) => value;
const method = (path, responseStream) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

const server = new grpc.Server({
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': -1,
  'grpc.max_concurrent_streams': 100,
});

const answer = (call, callback) => {
  const request = call.request.toString('latin1');
  if (request.startsWith('fail')) {
    const trailers = new grpc.Metadata();
    trailers.set('leader-hint', '1.2.3.4:5');
    callback({ code: grpc.status.UNAVAILABLE, details: 'NOT_LEADER: 100% \u00fc', metadata: trailers });
  } else if (request.startsWith('large')) {
    callback(null, Buffer.alloc(1024 * 1024, 'x'));
  } else if (request.startsWith('metadata')) {
    callback(null, Buffer.from(String(call.metadata.get('x-own')[0])));
  } else if (request.startsWith('stop')) {
    callback(null, Buffer.alloc(0));
    server.tryShutdown(() => process.exit(0));
  } else if (!request.startsWith('hang')) {
    callback(null, call.request);
  }
};

server.addService(
  { put: method('/norikv.v1.Kv/Put', false), watch: method('/norikv.v1.Meta/WatchCluster', true) },
  {
    put: answer,
    watch: (call) => {
      for (let epoch = 1; epoch <= 3; ++epoch) call.write(Buffer.from([8, epoch]));
      call.end();
    },
  });
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
process.stdin.on('end', () => process.exit(0)).resume();
