package node_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// The zero Config is a cluster of one on loopback. In production there is a Name, an address to Listen on, a Key, and
// addresses at which to Join the others.
func Example() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer n.Leave(ctx) // hands over to the others, of whom there are none here
	if err := n.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}

	if err := n.Set(ctx, "token", []byte("a session"), node.WithTTL(30*time.Minute)); err != nil {
		log.Fatal(err)
	}
	value, found, err := n.Get(ctx, "token")
	fmt.Println(string(value), found, err)

	if err := n.Delete(ctx, "token"); err != nil {
		log.Fatal(err)
	}
	_, found, err = n.Get(ctx, "token")
	fmt.Println(found, err)
	// Output:
	// a session true <nil>
	// false <nil>
}

// startNode starts the node of an example, with a small ring, which is made sooner.
func startNode(cfg node.Config) *node.Node {
	cfg.Partitions, cfg.VirtualNodes = 257, 40
	n, err := node.Start(context.Background(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := n.WaitReady(context.Background()); err != nil {
		log.Fatal(err)
	}
	return n
}

// Two replicas of a service, each with its own node: what one writes the other reads, and what one deletes is gone on both.
func ExampleStart() {
	ctx := context.Background()
	a := startNode(node.Config{Name: "replica-a"})
	defer a.Close()
	b := startNode(node.Config{Name: "replica-b", Join: []string{a.Addr()}})
	defer b.Close()

	fmt.Println(a.Set(ctx, "token", []byte("a session")))
	value, found, err := b.Get(ctx, "token")
	fmt.Println(string(value), found, err)
	fmt.Println(b.Delete(ctx, "token"))
	_, found, err = a.Get(ctx, "token")
	fmt.Println(found, err)
	// Output:
	// <nil>
	// a session true <nil>
	// <nil>
	// false <nil>
}

// Get has three outcomes. A cache before a database takes ErrUnsure as a miss. A store of record must not: it would log
// people out because a peer died.
func ExampleNode_Get() {
	n := startNode(node.Config{})
	defer n.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()

	value, found, err := n.Get(ctx, "token")
	switch {
	case errors.Is(err, node.ErrUnsure):
		fmt.Println("not known just now: ask the database, or answer 503")
	case err != nil:
		fmt.Println("cannot be asked:", err)
	case !found:
		fmt.Println("there is certainly no such session")
	default:
		fmt.Printf("%s\n", value)
	}
	// Output: there is certainly no such session
}

// Tags find entries by what they have in common, on all nodes: the sessions of a user.
func ExampleNode_InvalidateTags() {
	n := startNode(node.Config{})
	defer n.Close()
	ctx := context.Background()
	for token, user := range map[string]string{"phone": "user:7", "laptop": "user:7", "other": "user:8"} {
		if err := n.Set(ctx, token, []byte("a session"), node.WithTags(user)); err != nil {
			log.Fatal(err)
		}
	}
	if err := n.InvalidateTags(ctx, "user:7"); err != nil {
		log.Fatal(err)
	}
	for _, token := range []string{"phone", "laptop", "other"} {
		_, found, _ := n.Get(ctx, token)
		fmt.Println(token, found)
	}
	// Output:
	// phone false
	// laptop false
	// other true
}

// A revoked key stays dead for Config.Retention: the slow request that saves its session after the log-out fails.
func ExampleRevoke() {
	n := startNode(node.Config{})
	defer n.Close()
	ctx := context.Background()
	fmt.Println(n.Delete(ctx, "token", node.Revoke()))
	err := n.Set(ctx, "token", []byte("a session"))
	fmt.Println(errors.Is(err, node.ErrRevoked))
	// Output:
	// <nil>
	// true
}

// A miss gives a ticket. A fill with it is refused if the key was written or deleted after the miss, so that what was read
// from the database before is not stored over it. Load of package strategy does all this.
func ExampleNode_LookupOrTicket() {
	n := startNode(node.Config{})
	defer n.Close()
	ctx := context.Background()

	_, found, ticket, err := n.LookupOrTicket(ctx, "token")
	fmt.Println(found, err)
	// The session is read from the database. Meanwhile it is ended:
	fmt.Println(n.Delete(ctx, "token"))
	err = n.Set(ctx, "token", []byte("read before the end"), node.WithTicket(ticket))
	fmt.Println(errors.Is(err, node.ErrStaleFill))
	// Output:
	// false <nil>
	// <nil>
	// true
}

// Conditions make a Set depend on what is there, in the whole cluster.
func ExampleIfVersion() {
	n := startNode(node.Config{})
	defer n.Close()
	ctx := context.Background()
	fmt.Println(n.Set(ctx, "counter", []byte("1"), node.IfAbsent()))
	e, _, _ := n.Lookup(ctx, "counter")
	fmt.Println(n.Set(ctx, "counter", []byte("2"), node.IfVersion(e.Version)))
	err := n.Set(ctx, "counter", []byte("2"), node.IfVersion(e.Version)) // somebody was faster
	fmt.Println(errors.Is(err, node.ErrCondition))
	// Output:
	// <nil>
	// <nil>
	// true
}

// Subscribe tells what happens to the cluster.
func ExampleNode_Subscribe() {
	a := startNode(node.Config{Name: "replica-a"})
	defer a.Close()
	events, cancel := a.Subscribe(16)
	defer cancel()
	b := startNode(node.Config{Name: "replica-b", Join: []string{a.Addr()}})
	defer b.Close()
	for e := range events {
		if e.Kind == "view" {
			fmt.Println(len(a.Members()), "members")
			break
		}
	}
	// Output: 2 members
}

// A program that embeds a node reads the key file that "huddle keygen" makes, and reads it again when it changes: now and then,
// or when it is told to.
func ExampleParseKeys() {
	// What two steps of "huddle keygen --rotate" have made of a file: a new key, and the old one, which is still accepted.
	const before = "# made by huddle keygen\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"
	const after = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n" +
		"tokens MTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjA=\n"

	secrets, tokenKey, err := node.ParseKeys([]byte(before))
	if err != nil {
		log.Fatal(err)
	}
	n := startNode(node.Config{Key: secrets.Key, SecondaryKeys: secrets.SecondaryKeys, TokenKey: tokenKey})
	defer n.Close()

	secrets, _, err = node.ParseKeys([]byte(after))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(secrets.SecondaryKeys), "other key accepted")
	fmt.Println(n.Rekey(secrets))
	// A file that is half written leaves the node as it was.
	_, _, err = node.ParseKeys([]byte("ZmVkY2JhOTg3"))
	fmt.Println(err)
	// Output:
	// 1 other key accepted
	// <nil>
	// line 1 holds no key of 32 bytes
}
