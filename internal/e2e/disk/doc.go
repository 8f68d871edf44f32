// Package disk is a disk that remembers what was written to it, for tests of
// power cuts and of failing disks. It needs Linux, root, FUSE and mkfs.ext4.
//
// A [Disk] is an ext4 file system in a file that this process itself serves
// through FUSE. Every write and every flush of the kernel comes by here and is
// noted in order. [Disk.After] makes the disk as it may be after the power went
// at any place of that order: what was flushed is there, and of the writes since
// the last flush any may be missing, or be there in part, since a disk may put
// them down in any order. Mounting that [Image] replays the file system's
// journal, as after a real power cut.
//
// The same place can fail: [Disk.Fail] has every write, or every flush, from the
// nth on end in an I/O error, as a dying memory card does.
//
// A disk that lies is the control: [Disk.Lie] makes flushes mean nothing.
package disk
