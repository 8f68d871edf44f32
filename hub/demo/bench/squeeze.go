package bench

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"

	"github.com/klauspost/compress/zstd"
)

// squeeze compresses as hard as zstd -19 does: by that program, or, where it is
// not installed, by the best that this one has. by says which.
func squeeze(ctx context.Context, doc []byte) (size int, by string, err error) {
	if path, err := exec.LookPath("zstd"); err == nil {
		cmd := exec.CommandContext(ctx, path, "-19", "--quiet", "--stdout", "-")
		cmd.Stdin = bytes.NewReader(doc)
		out, err := cmd.Output()
		if err != nil {
			return 0, "", fmt.Errorf("zstd -19: %w", err)
		}
		return len(out), "zstd -19", nil
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return 0, "", err
	}
	return len(enc.EncodeAll(doc, nil)), "klauspost's best level (no zstd program is installed)", nil
}
