//go:build unix

package keyfile

import (
	"fmt"
	"os"
	"syscall"
)

// Open tells whether everybody on the machine may read the file, or write it.
func Open(info os.FileInfo) bool { return info.Mode().Perm()&0o006 != 0 }

// keepOwner gives f the owner and the group of the file it takes the place of, so that a node that runs as another user than
// the one who rotates can still read it.
func keepOwner(f *os.File, of os.FileInfo) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	is, want := own.Sys().(*syscall.Stat_t), of.Sys().(*syscall.Stat_t)
	if is.Uid == want.Uid && is.Gid == want.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("the file belongs to user %d and group %d and could not be kept theirs, so it is left as it was: %w; run this as its owner, or as root",
			want.Uid, want.Gid, err)
	}
	return nil
}
