package startup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"otor/internal/durable"
)

// unit is the systemd unit. What a program of this kind never needs is taken
// from it: other users' files, devices, the kernel's settings, new privileges.
// A unit of one user has not the right to give up all of that.
func (p Plan) unit() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("[Unit]")
	line("Description=Otor %s", p.Program)
	if !p.User {
		line("Wants=network-online.target")
		line("After=network-online.target")
	}
	if len(p.Folders) > 0 {
		line("RequiresMountsFor=%s", joined(p.Folders))
	}
	line("")
	line("[Service]")
	line("Type=exec")
	line("ExecStart=%s", strings.TrimSpace(quoteUnit(p.Exe)+" "+p.Verb+" "+joined(p.Args)))
	if !p.User && p.As != "" {
		line("User=%s", p.As)
	}
	line("Restart=on-failure")
	line("RestartSec=5")
	line("RestartPreventExitStatus=%s", hopeless)
	line("TimeoutStopSec=60")
	line("LimitNOFILE=65536")
	line("UMask=0077")
	line("NoNewPrivileges=yes")
	line("LockPersonality=yes")
	line("RestrictRealtime=yes")
	line("RestrictSUIDSGID=yes")
	line("SystemCallArchitectures=native")
	if !p.User {
		line("CapabilityBoundingSet=")
		line("ProtectSystem=strict")
		line("ProtectHome=read-only")
		if paths := p.writable(); len(paths) > 0 {
			line("ReadWritePaths=%s", joined(paths))
		}
		line("PrivateTmp=yes")
		line("PrivateDevices=yes")
		line("ProtectClock=yes")
		line("ProtectControlGroups=yes")
		line("ProtectHostname=yes")
		line("ProtectKernelLogs=yes")
		line("ProtectKernelModules=yes")
		line("ProtectKernelTunables=yes")
		line("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK")
		line("RestrictNamespaces=yes")
	}
	line("")
	line("[Install]")
	if p.User {
		line("WantedBy=default.target")
	} else {
		line("WantedBy=multi-user.target")
	}
	return b.String()
}

// writable are the paths that ReadWritePaths names; one with a dash may be missing
// (systemd.exec(5)).
func (p Plan) writable() []string {
	out := slices.Clone(p.Folders)
	for _, f := range p.Aside {
		out = append(out, "-"+f)
	}
	return out
}

func joined(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoteUnit(w)
	}
	return strings.Join(out, " ")
}

// quoteUnit writes a word as systemd reads it (systemd.syntax(7)); % and $ are
// for nobody to expand.
func quoteUnit(s string) string {
	s = strings.NewReplacer("%", "%%", "$", "$$").Replace(s)
	if s != "" && !strings.ContainsAny(s, " \t\n\"'\\;") {
		return s
	}
	return strconv.Quote(s)
}

func (p Plan) unitFile() (string, error) {
	if !p.User {
		return filepath.Join("/etc/systemd/system", p.Name()+".service"), nil
	}
	base := os.Getenv("XDG_CONFIG_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "systemd", "user", p.Name()+".service"), nil
}

func (p Plan) installSystemd(ctx context.Context, d *Done) (err error) {
	if d.File, err = p.unitFile(); err != nil {
		return err
	}
	if err := p.makeFolders(); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(d.File), 0o755); err != nil {
		return err
	}
	if err := durable.WriteFile(d.File, []byte(p.unit()), 0o644); err != nil {
		return err
	}
	if err := p.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	if err := p.systemctl(ctx, "enable", "--now", p.Name()+".service"); err != nil {
		return err
	}
	if p.User {
		d.Next = append(d.Next, "to have it run while you are not logged in: loginctl enable-linger")
	}
	d.Next = append(d.Next, "see whether it runs: "+strings.Join(strings.Fields("systemctl "+p.scope()+" status "+p.Name()), " "))
	d.Next = append(d.Next, "its log: "+strings.TrimSpace("journalctl "+p.scope()+" -u "+p.Name()))
	return nil
}

// makeFolders makes the folders that the unit may write into, which must be
// there when it starts, as its user's own.
func (p Plan) makeFolders() error {
	uid, gid := -1, -1
	if !p.User && p.As != "" {
		u, err := user.Lookup(p.As)
		if err != nil {
			return fmt.Errorf("%w; make it first, such as: useradd --system %s", err, p.As)
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			return err
		}
		if gid, err = strconv.Atoi(u.Gid); err != nil {
			return err
		}
	}
	folders := slices.Concat(p.Folders, p.Aside)
	// One that holds another comes first, or it would be somebody's own by then.
	slices.SortStableFunc(folders, func(a, b string) int { return len(a) - len(b) })
	for _, f := range folders {
		_, err := os.Stat(f)
		if err == nil {
			continue // somebody's own: its rights are theirs to set
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := p.makeAbove(f); err != nil {
			return err
		}
		if err := durable.MkdirAll(f, 0o700); err != nil {
			return err
		}
		if uid >= 0 {
			if err := os.Chown(f, uid, gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeAbove makes the folders above one that is its user's alone. They belong to
// whoever installs: its user must come through them, whatever the umask.
func (p Plan) makeAbove(folder string) error {
	if p.User {
		return nil
	}
	var missing []string
	for dir := filepath.Dir(folder); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		missing = append(missing, dir)
	}
	if err := durable.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nothing lies in it but folders with rights of their own
			return err
		}
	}
	return nil
}

func (p Plan) removeSystemd(ctx context.Context, d *Done) (err error) {
	if d.File, err = p.unitFile(); err != nil {
		return err
	}
	if err := p.systemctl(ctx, "disable", "--now", p.Name()+".service"); err != nil {
		return err
	}
	if err := os.Remove(d.File); err != nil {
		return err
	}
	return p.systemctl(ctx, "daemon-reload")
}

func (p Plan) scope() string {
	if p.User {
		return "--user"
	}
	return ""
}

func (p Plan) systemctl(ctx context.Context, args ...string) error {
	if s := p.scope(); s != "" {
		args = append([]string{s}, args...)
	}
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
