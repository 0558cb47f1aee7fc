package resp

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func cmdInfo(c *client, args [][]byte) {
	wanted := make(map[string]bool)
	all := len(args) == 1
	for _, arg := range args[1:] {
		name := strings.ToLower(string(arg))
		all = all || name == "all" || name == "default" || name == "everything"
		wanted[name] = true
	}
	var b strings.Builder
	for _, section := range c.srv.info(time.Now()) {
		if !all && !wanted[strings.ToLower(section.Name)] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + section.Name + "\r\n")
		for _, f := range section.Fields {
			b.WriteString(f[0] + ":" + f[1] + "\r\n")
		}
	}
	c.writeText(b.String())
}

// info returns the sections of the front with those of the backend: a section of both has the fields of both. What is always 0 is there
// for monitors, which take a field that is absent for a number all the same.
func (s *Server) info(now time.Time) []InfoSection {
	t := s.traffic(now)
	up := int(now.Sub(s.started).Seconds())
	all := []InfoSection{
		{"Server", [][2]string{
			{"redis_version", dialect},
			{"redis_mode", "standalone"},
			{"huddle_version", s.cfg.Version},
			{"os", runtime.GOOS + " " + runtime.GOARCH},
			{"arch_bits", strconv.Itoa(strconv.IntSize)},
			{"process_id", strconv.Itoa(os.Getpid())},
			{"uptime_in_seconds", strconv.Itoa(up)},
			{"uptime_in_days", strconv.Itoa(up / 86400)},
		}},
		{"Clients", [][2]string{
			{"connected_clients", strconv.Itoa(t.clients)},
			{"maxclients", strconv.Itoa(s.cfg.MaxConns)},
			{"blocked_clients", "0"},
		}},
		{"Persistence", [][2]string{
			{"loading", "0"},
			{"rdb_bgsave_in_progress", "0"},
			{"aof_enabled", "0"},
			{"aof_rewrite_in_progress", "0"},
		}},
		{"Stats", [][2]string{
			{"total_connections_received", strconv.FormatUint(s.served.Load(), 10)},
			{"total_commands_processed", strconv.FormatUint(t.commands, 10)},
			{"instantaneous_ops_per_sec", strconv.FormatUint(t.perSecond, 10)},
		}},
		{"Replication", [][2]string{{"role", "master"}, {"connected_slaves", "0"}}},
	}
	for _, more := range s.cfg.Backend.Info() {
		i := slices.IndexFunc(all, func(s InfoSection) bool { return s.Name == more.Name })
		if i < 0 {
			all = append(all, more)
			continue
		}
		all[i].Fields = append(all[i].Fields, more.Fields...)
	}
	return all
}

// traffic is what the clients of now have run, and those before them.
type traffic struct {
	clients   int
	commands  uint64
	perSecond uint64
}

// rateOver is over how long a rate is taken at least.
const rateOver = time.Second

// traffic adds up. The rate is that since it was asked for the last time before, at least rateOver ago: who asks again and again gets
// what happened in between, and a server that nobody asks has no need of a timer.
func (s *Server) traffic(now time.Time) traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := traffic{clients: len(s.clients), commands: s.past}
	for c := range s.clients {
		t.commands += c.commands.Load()
	}
	if since := now.Sub(s.rate.at); since >= rateOver {
		s.rate = rate{at: now, commands: t.commands, perSecond: uint64(float64(t.commands-s.rate.commands) / since.Seconds())}
	}
	t.perSecond = s.rate.perSecond
	return t
}

// rate is how many commands were run a second until a time, when so many had been run in all.
type rate struct {
	at                  time.Time
	commands, perSecond uint64
}
