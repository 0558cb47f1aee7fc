package app

import (
	"context"
	"crypto/tls"
	"os"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport"
)

// lookAgain is how often the files of secrets are read again.
const lookAgain = 2 * time.Second

// watcher reads the files of a running node's secrets again, now and then and when asked to, and puts what has changed to use.
type watcher struct {
	cfg  Config
	now  contents
	resp atomic.Pointer[tls.Certificate]
	told string // the last error, so that it is logged once
}

// respTLS is the configuration of the Redis protocol front; nil: none.
func (w *watcher) respTLS() *tls.Config {
	if w.now.resp == nil {
		return nil
	}
	w.resp.Store(w.now.resp)
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.resp.Load(), nil },
	}
}

// run goes on until ctx ends.
func (w *watcher) run(ctx context.Context, n *node.Node, hup <-chan os.Signal) {
	if w.cfg.Files == (Files{}) {
		return
	}
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			w.look(n, true)
		case <-ticker.C:
			w.look(n, false)
		}
	}
}

// look reads the files. If they are not as they should be, all stays as it was.
func (w *watcher) look(n *node.Node, asked bool) {
	next, err := w.cfg.Files.load()
	if err == nil && next.identity == w.now.identity {
		w.told = ""
		if asked {
			w.cfg.Logger.Info("secrets have been read again, nothing has changed", w.names(next)...)
		}
		return
	}
	if err == nil {
		err = n.Rekey(next.secrets)
	}
	if err != nil {
		if text := err.Error(); text != w.told || asked {
			w.told = text
			w.cfg.Logger.Error("secrets could not be read again; those from before stay in use", "error", err)
		}
		return
	}
	w.told = ""
	if w.cfg.Node.HashTokens && tokensOf(next) != tokensOf(w.now) {
		w.cfg.Logger.Error("what tokens are hashed with has changed in the key file; this takes effect only when all nodes are started anew")
	}
	w.now = next
	if next.resp != nil {
		w.resp.Store(next.resp)
	}
	w.cfg.Logger.Info("secrets have been read again and are in use", w.names(next)...)
}

func tokensOf(c contents) string {
	key := c.tokens
	if key == nil {
		key, _ = transport.TokenKey(c.secrets.Key) // never fails with a key of 32 bytes
	}
	return string(key)
}

// names tells keys apart in the log.
func (w *watcher) names(c contents) []any {
	if len(c.secrets.Key) == 0 {
		return nil
	}
	also := []string{}
	for _, key := range c.secrets.SecondaryKeys {
		also = append(also, transport.Fingerprint(key))
	}
	return []any{"key", transport.Fingerprint(c.secrets.Key), "also_accepted", also}
}
