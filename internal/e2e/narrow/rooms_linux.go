package narrow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// joinedBy is the environment variable that tells a command which namespaces it is in.
const joinedBy = "OTOR_NARROW_LINE"

// Joined reports whether this process was started by [Run].
func Joined() bool { return os.Getenv(joinedBy) != "" }

// Run makes the namespaces, runs cmd in the far one until it ends, and removes
// them. congestion is how TCP deals with losses at both ends (cubic, reno): the
// system's own choice may be kinder than a phone's. cmd's environment is this
// process's; its output is its caller's matter.
func Run(ctx context.Context, congestion string, cmd *exec.Cmd) (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: that needs root", ErrCannot)
	}
	base := fmt.Sprintf("otor-%d", os.Getpid())
	defer func() {
		for _, ns := range rooms(base) {
			err = errors.Join(err, remove(context.WithoutCancel(ctx), ns))
		}
	}()
	if err := furnish(ctx, base, congestion); err != nil {
		return fmt.Errorf("%w: %w", ErrCannot, err)
	}
	path, err := exec.LookPath("ip")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCannot, err)
	}
	cmd.Args = append([]string{path, "netns", "exec", rooms(base)[2], cmd.Path}, cmd.Args[1:]...)
	cmd.Path = path
	cmd.Env = append(os.Environ(), joinedBy+"="+base)
	return cmd.Run()
}

// rooms names the near, the middle and the far namespace.
func rooms(base string) [3]string { return [3]string{base + "-near", base + "-mid", base + "-far"} }

func remove(ctx context.Context, ns string) error {
	if _, err := os.Stat("/run/netns/" + ns); err != nil {
		return nil //nolint:nilerr // it was never made
	}
	return ip(ctx, "netns del "+ns)
}

// furnish makes the namespaces and what joins them. Offloading is off: else the
// bridge would see packets that no line could carry, without checksums.
func furnish(ctx context.Context, base, congestion string) error {
	r := rooms(base)
	for _, ns := range r {
		if err := errors.Join(ip(ctx, "netns add "+ns), ip(ctx, "-n "+ns+" link set lo up")); err != nil {
			return err
		}
	}
	for i, end := range []struct{ ns, dev, addr string }{{r[0], "near", NearAddr}, {r[2], "far", FarAddr}} {
		for _, args := range []string{
			fmt.Sprintf("-n %s link add %s type veth peer name side%d netns %s", end.ns, end.dev, i, r[1]),
			fmt.Sprintf("-n %s addr add %s/24 dev %s", end.ns, end.addr, end.dev),
			fmt.Sprintf("-n %s link set %s up", end.ns, end.dev),
			fmt.Sprintf("-n %s link set side%d up", r[1], i),
		} {
			if err := ip(ctx, args); err != nil {
				return err
			}
		}
		err := within(end.ns, func() error {
			return errors.Join(plain(end.dev), os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte(congestion), 0))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ip(ctx context.Context, args string) error {
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// within does something in another namespace, on a thread that is given up afterwards.
func within(ns string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- func() error {
			f, err := os.Open("/run/netns/" + ns)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }() // opened for reading only
			if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter namespace %s: %w", ns, err)
			}
			return do()
		}()
	}()
	return <-done
}

// plain turns off what a network card would do for the kernel: ethtool(8) -K
// tx off tso off gso off gro off.
func plain(dev string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for _, what := range []uint32{unix.ETHTOOL_STXCSUM, unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
		if err := setOffload(fd, dev, what); err != nil {
			return fmt.Errorf("turn off offloading %#x of %s: %w", what, dev, err)
		}
	}
	return nil
}
