package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
)

// network gives each node a network namespace of its own, all joined by a bridge on which this process has an address too. So
// traffic between two nodes can be cut in one direction while clients still reach both. It is left behind when this process
// is killed: its parts then still bear the process's number in their names.
type network struct {
	bridge string
	prefix string   // of the addresses
	spaces []string // names of the namespaces
	links  []string // names of the ends of their links on this side
}

// maxNetworks bounds the networks of one process: the name of a link has 15 bytes at most.
const maxNetworks = 10

// CheckNamespaces tells why no network of namespaces can be made here; nil if one can.
func CheckNamespaces() error {
	if os.Geteuid() != 0 {
		return errors.New("cutting the network needs root, for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("cutting the network needs the command ip, of iproute2")
	}
	probe := fmt.Sprintf("huddle-%d-probe-%d", os.Getpid(), rand.Uint32())
	if err := ip("netns", "add", probe); err != nil {
		return fmt.Errorf("cutting the network needs network namespaces, which are not to be had here: %w", err)
	}
	return ip("netns", "del", probe)
}

func newNetwork(nodes int) (*network, error) {
	n := &network{prefix: fmt.Sprintf("10.%d.%d.", 192+rand.IntN(60), rand.IntN(256))}
	err := errors.New("there are too many networks")
	for i := 0; err != nil && i < maxNetworks; i++ { // a name is given to one bridge only
		n.bridge = fmt.Sprintf("hd%d-%d", os.Getpid(), i)
		err = ip("link", "add", n.bridge, "type", "bridge")
	}
	if err != nil {
		return nil, err
	}
	err = errors.Join(ip("addr", "add", n.prefix+"254/24", "dev", n.bridge), ip("link", "set", n.bridge, "up"))
	for i := range nodes {
		if err != nil {
			break
		}
		space, link := fmt.Sprintf("huddle-%s-%d", n.bridge[2:], i+1), fmt.Sprintf("%sv%d", n.bridge, i+1)
		if err = ip("netns", "add", space); err != nil {
			break
		}
		n.spaces, n.links = append(n.spaces, space), append(n.links, link)
		for _, args := range [][]string{
			{"link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space},
			{"link", "set", link, "master", n.bridge, "up"},
			{"-n", space, "addr", "add", n.host(i) + "/24", "dev", "eth0"},
			{"-n", space, "link", "set", "eth0", "up"},
			{"-n", space, "link", "set", "lo", "up"},
		} {
			if err == nil {
				err = ip(args...)
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// host is the address of node i.
func (n *network) host(i int) string { return fmt.Sprintf("%s%d", n.prefix, i+1) }

// inside is the command line that runs args in the namespace of node i. The process keeps its number.
func (n *network) inside(i int, args []string) []string {
	return append([]string{"ip", "netns", "exec", n.spaces[i]}, args...)
}

// cut refuses what node i sends to node j.
func (n *network) cut(i, j int) error {
	return ip("-n", n.spaces[i], "route", "add", "blackhole", n.host(j)+"/32")
}

// mend undoes cut.
func (n *network) mend(i, j int) error {
	return ip("-n", n.spaces[i], "route", "del", "blackhole", n.host(j)+"/32")
}

// lose drops what node i sends to node j: it goes to a hardware address that nobody has.
func (n *network) lose(i, j int) error {
	return ip("-n", n.spaces[i], "neigh", "replace", n.host(j), "lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "eth0")
}

// find undoes lose.
func (n *network) find(i, j int) error {
	return ip("-n", n.spaces[i], "neigh", "del", n.host(j), "dev", "eth0")
}

func (n *network) close() error {
	var errs []error
	for _, link := range n.links {
		_ = ip("link", "del", link) // one that was not made yet; a space alone would let go of its link some time later
	}
	for _, space := range n.spaces {
		errs = append(errs, ip("netns", "del", space))
	}
	return errors.Join(append(errs, ip("link", "del", n.bridge))...)
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
