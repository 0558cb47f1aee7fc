// One replica of the shop. SIGTERM ends it.
import { bootstrap } from '@vendure/core';
import { config } from './config';

void (async () => {
    try {
        const app = await bootstrap(config(process.env));
        if (process.env.SHOP_SETUP) {
            await app.close();
            process.exit(0);
        }
        process.send?.('ready');
    } catch (e) {
        console.error(e);
        process.exit(1);
    }
})();
