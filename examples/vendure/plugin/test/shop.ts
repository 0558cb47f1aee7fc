// A shop as a process of its own, for the test that kills it.
import { Replica } from './support';

void (async () => {
    const replica = new Replica({ listen: '127.0.0.1:0' });
    await replica.start();
    process.send!(replica.huddle.pid);
    setInterval(() => undefined, 1000);
})();
