package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// event is a write, or a flush when data is nil.
type event struct {
	off  int64
	data []byte
}

// Disk is a mounted file system whose writes are noted.
type Disk struct {
	Mount string // where it is mounted

	dir    string
	file   *os.File // what is on the disk now
	size   int64
	server *fuse.Server

	mu     sync.Mutex // guards what follows
	events []event
	lies   bool
	writes int // seen since Fail
	syncs  int
	fail   Failure
}

// Failure says what fails. The zero value: nothing.
type Failure struct {
	Write int           // the nth write from now on, and all after it; 0: none
	Flush int           // the nth flush
	With  syscall.Errno // EIO or ENOSPC; 0: it says that all is well and forgets the write, a control
}

// Have reports whether this machine can make disks, and why not.
func Have() (bool, string) {
	if os.Geteuid() != 0 {
		return false, "mounting a disk needs root"
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return false, "there is no /dev/fuse"
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			return false, "there is no " + tool
		}
	}
	return true, ""
}

// New makes a disk of that many bytes with an empty file system, below dir, and
// mounts it.
func New(dir string, size int64) (_ *Disk, err error) {
	d := &Disk{dir: dir, size: size, Mount: filepath.Join(dir, "mnt")}
	image := filepath.Join(dir, "now.img")
	if d.file, err = os.OpenFile(image, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.file.Truncate(size); err != nil {
		return nil, err
	}
	// Small journal and no lazy work: what is written later is the programs' own.
	if err := sh("mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0", image); err != nil {
		return nil, err
	}
	if err := copySparse(filepath.Join(dir, "base.img"), image); err != nil {
		return nil, err
	}
	fuseDir := filepath.Join(dir, "fuse")
	for _, made := range []string{fuseDir, d.Mount} {
		if err := os.Mkdir(made, 0o700); err != nil {
			return nil, err
		}
	}
	root := &root{disk: d}
	never := time.Hour
	d.server, err = fs.Mount(fuseDir, root, &fs.Options{
		EntryTimeout: &never, AttrTimeout: &never,
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "otor-disk", Name: "otor-disk", MaxWrite: 128 << 10},
	})
	if err != nil {
		return nil, fmt.Errorf("mount by FUSE: %w", err)
	}
	// A long commit interval: what is not synced stays in memory meanwhile.
	if err := sh("mount", "-o", "loop,commit=300", filepath.Join(fuseDir, name), d.Mount); err != nil {
		return nil, err
	}
	return d, nil
}

// Close unmounts it.
func (d *Disk) Close() error {
	var errs []error
	if mounted(d.Mount) {
		errs = append(errs, unmount(d.Mount))
	}
	if d.server != nil {
		err := d.server.Unmount()
		for range 50 {
			if err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond) // the loop device lets go of the file a little later
			err = d.server.Unmount()
		}
		errs = append(errs, err)
	}
	if d.file != nil {
		errs = append(errs, d.file.Close())
	}
	return errors.Join(errs...)
}

// Events is how many writes and flushes there were so far.
func (d *Disk) Events() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

// Lie makes all flushes from now on mean nothing to [Disk.After]. It is a control.
func (d *Disk) Lie() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = true
}

// Fail makes writes or flushes fail from now on.
func (d *Disk) Fail(f Failure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail, d.writes, d.syncs = f, 0, 0
}

// Failed reports whether a failure has happened since Fail.
func (d *Disk) Failed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fail.Write > 0 && d.writes >= d.fail.Write || d.fail.Flush > 0 && d.syncs >= d.fail.Flush
}

func (d *Disk) write(data []byte, off int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writes++; d.fail.Write > 0 && d.writes >= d.fail.Write {
		return d.fail.With
	}
	if _, err := d.file.WriteAt(data, off); err != nil {
		return fs.ToErrno(err)
	}
	d.events = append(d.events, event{off, append([]byte{}, data...)})
	return 0
}

func (d *Disk) flush() syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.syncs++; d.fail.Flush > 0 && d.syncs >= d.fail.Flush {
		return d.fail.With
	}
	if !d.lies {
		d.events = append(d.events, event{})
	}
	return 0
}

// name is the one file that FUSE serves.
const name = "image"

type root struct {
	fs.Inode
	disk *Disk
}

// OnAdd implements fs.NodeOnAdder.
func (r *root) OnAdd(ctx context.Context) {
	child := r.NewPersistentInode(ctx, &image{disk: r.disk}, fs.StableAttr{Mode: syscall.S_IFREG})
	r.AddChild(name, child, false)
}

// image is that file, and its handle. Nothing is cached above it, so that every
// write is seen when it is made.
type image struct {
	fs.Inode
	disk *Disk
}

var (
	_ fs.NodeOpener    = (*image)(nil)
	_ fs.NodeReader    = (*image)(nil)
	_ fs.NodeWriter    = (*image)(nil)
	_ fs.NodeFsyncer   = (*image)(nil)
	_ fs.NodeGetattrer = (*image)(nil)
	_ fs.NodeFlusher   = (*image)(nil)
)

// Open implements fs.NodeOpener.
func (n *image) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// Getattr implements fs.NodeGetattrer.
func (n *image) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size, out.Nlink = syscall.S_IFREG|0o600, uint64(n.disk.size), 1 //nolint:gosec // never negative
	return 0
}

// Read implements fs.NodeReader.
func (n *image) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	got, err := n.disk.file.ReadAt(dest, off)
	if err != nil && got == 0 && off < n.disk.size {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:got]), 0
}

// Write implements fs.NodeWriter.
func (n *image) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	return uint32(len(data)), n.disk.write(data, off) //nolint:gosec // at most MaxWrite
}

// Fsync implements fs.NodeFsyncer.
func (n *image) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return n.disk.flush() }

// Flush implements fs.NodeFlusher: closing the file proves nothing.
func (n *image) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

func sh(name string, args ...string) error {
	cmd := exec.CommandContext(context.Background(), name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// copySparse copies a file and leaves its zeros out.
func copySparse(to, from string) error {
	return sh("cp", "--sparse=always", from, to)
}

func mounted(dir string) bool {
	var here, above syscall.Stat_t
	return syscall.Stat(dir, &here) == nil && syscall.Stat(filepath.Dir(dir), &above) == nil && here.Dev != above.Dev
}

func unmount(dir string) error {
	var err error
	for range 100 {
		if err = syscall.Unmount(dir, 0); err == nil || errors.Is(err, syscall.EINVAL) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("unmount %s: %w", dir, err)
}
