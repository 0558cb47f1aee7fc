package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"
)

// A certificate is near its end when a tenth of its life is left, at most maxNear; that is logged again every remindAgain.
const (
	maxNear     = 30 * 24 * time.Hour
	remindAgain = 24 * time.Hour
)

// endOf tells when the first certificate of a chain ends, and from when on that is near.
func endOf(chain *tls.Certificate) (end, near time.Time) {
	for _, der := range chain.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err == nil && (end.IsZero() || cert.NotAfter.Before(end)) {
			end = cert.NotAfter
			near = end.Add(-min(end.Sub(cert.NotBefore)/10, maxNear))
		}
	}
	return end, near
}

// remind says of certificates that they end soon, or have ended. Connections that are there stay, so nothing else would tell until nodes are
// started anew or cut off for a moment, and then none is let in.
func (w *watcher) remind(now time.Time) {
	for _, c := range []struct {
		flag, price string
		chain       *tls.Certificate
	}{
		{"--tls-cert", "nodes make no new connections, and one that is started anew, or cut off for a moment, stays outside", w.now.secrets.Certificate},
		{"--resp-tls-cert", "Redis clients refuse to connect", w.now.resp},
	} {
		if c.chain == nil {
			continue
		}
		end, near := endOf(c.chain)
		level, text := slog.LevelWarn, "the certificate of "+c.flag+" ends soon; then "
		switch {
		case now.Before(near):
			continue
		case !now.Before(end):
			level, text = slog.LevelError, "the certificate of "+c.flag+" has ended: "
		}
		if last, said := w.reminded[text]; said && now.Sub(last) < remindAgain {
			continue
		}
		w.reminded[text] = now
		w.cfg.Logger.Log(context.Background(), level, text+c.price+"; put a new one in place of its file", "end", end.UTC().Format(time.RFC3339))
	}
}
