package app

import (
	"context"
	"crypto/tls"
	"os"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport"
)

// The files of secrets are read again every lookAgain. What has changed is read once more after settle, and put to use when it is
// the same: a file that is written in place is for a moment half of what it will be, and a key that is missing there would end
// connections.
const (
	lookAgain = 2 * time.Second
	settle    = 100 * time.Millisecond
)

// watcher reads the files of a running node's secrets again, now and then and when asked to, and puts what has changed to use.
type watcher struct {
	cfg  Config
	now  contents
	resp atomic.Pointer[tls.Certificate]
	told string // the last error, so that it is logged once
	read string // what the last look has found, if it differs from what is in use

	reminded map[string]time.Time // when an end was logged, by what was said

	passwords, tokens accepted
}

// newWatcher returns a watcher of a node that starts with what has been read.
func newWatcher(cfg Config, files contents) *watcher {
	w := &watcher{cfg: cfg}
	w.use(files)
	return w
}

// use makes the fronts go by what has been read. Who has given a password, or is connected by a certificate, from before stays.
func (w *watcher) use(c contents) {
	w.now = c
	w.reminded = map[string]time.Time{}
	if c.resp != nil {
		w.resp.Store(c.resp)
	}
	w.passwords.use(c.passwords)
	w.tokens.use(c.admin)
}

// checkPassword tells whether a client of the Redis protocol front has given one of the passwords; nil: none is asked.
func (w *watcher) checkPassword() func([]byte) bool {
	if w.cfg.Files.Passwords == "" {
		return nil
	}
	return w.passwords.has
}

// checkToken is the same for the admin interface.
func (w *watcher) checkToken() func([]byte) bool {
	if w.cfg.Files.Tokens == "" {
		return nil
	}
	return w.tokens.has
}

// respTLS is the configuration of the Redis protocol front; nil: none.
func (w *watcher) respTLS() *tls.Config {
	if w.now.resp == nil {
		return nil
	}
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
	var again <-chan time.Time
	asked := false // and not answered yet
	for {
		w.remind(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-hup:
			asked = true
		case <-ticker.C:
		case <-again:
		}
		if again = nil; w.look(n, asked) {
			asked = false
		} else {
			again = time.After(settle)
		}
	}
}

// look reads the files, and is false when it has found them changed since it looked last: then it is to be called again soon. If
// they are not as they should be, all stays as it was.
func (w *watcher) look(n *node.Node, asked bool) bool {
	next, err := w.cfg.Files.reload(w.now)
	if err == nil && next.identity == w.now.identity {
		mended := w.told != ""
		w.told, w.read = "", ""
		if asked || mended {
			w.cfg.Logger.Info("secrets have been read again, nothing has changed", w.names(next)...)
		}
		return true
	}
	found := next.identity
	if err != nil {
		found = err.Error()
	}
	if found != w.read {
		w.read = found
		return false
	}
	if err == nil {
		err = n.Rekey(next.secrets)
	}
	if err != nil {
		if text := err.Error(); text != w.told || asked {
			w.told = text
			w.cfg.Logger.Error("secrets could not be read again; those from before stay in use", "error", err)
		}
		return true
	}
	w.told, w.read = "", ""
	if w.cfg.Node.HashTokens && tokensOf(next) != tokensOf(w.now) {
		w.cfg.Logger.Error("what tokens are hashed with has changed in the key file; this takes effect only when all nodes are started anew")
	}
	w.use(next)
	w.cfg.Logger.Info("secrets have been read again and are in use", w.names(next)...)
	w.warn()
	return true
}

// warn says that other nodes will hardly accept this one: else it is in sync, all alone.
func (w *watcher) warn() {
	if err := w.now.stranger(); err != nil {
		w.cfg.Logger.Warn("nodes with the same --tls-ca do not accept the --tls-cert of this one, which has to serve for servers and clients", "error", err)
	}
}

func tokensOf(c contents) string {
	key := c.tokens
	if key == nil {
		key, _ = transport.TokenKey(c.secrets.Key) // never fails with a key of 32 bytes
	}
	return string(key)
}

// begin says which keys the node starts with, so that they can be compared before a rotation, and who else may read them.
func (w *watcher) begin() {
	w.warn()
	if w.cfg.Files.Key == "" {
		if names := w.names(w.now); names != nil {
			w.cfg.Logger.Info("passwords and tokens have been read", names...)
		}
		return
	}
	w.cfg.Logger.Info("the key file has been read", w.names(w.now)...)
	if info, err := os.Stat(w.cfg.Files.Key); err == nil && keyfile.Open(info) {
		w.cfg.Logger.Warn("everybody on this machine can read or write the key file; make it the node's alone with chmod 600", "file", w.cfg.Files.Key)
	}
}

// names tells keys apart in the log, and counts passwords and tokens: a fingerprint would let who reads it guess them.
func (w *watcher) names(c contents) (names []any) {
	if len(c.secrets.Key) > 0 {
		also := []string{}
		for _, key := range c.secrets.SecondaryKeys {
			also = append(also, transport.Fingerprint(key))
		}
		names = append(names, "key", transport.Fingerprint(c.secrets.Key), "also_accepted", also)
	}
	if len(c.passwords) > 0 {
		names = append(names, "resp_passwords", len(c.passwords))
	}
	if len(c.admin) > 0 {
		names = append(names, "admin_tokens", len(c.admin))
	}
	return names
}
