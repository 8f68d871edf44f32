package backup

import (
	"context"
	"io/fs"
)

// CopyPhotos lets tests copy photos from a disk that fails: how many were copied, how many passed over.
func CopyPhotos(ctx context.Context, from fs.FS, to string) (copied, bad int, cause, err error) {
	c, err := copyPhotos(ctx, from, to)
	return c.copied, c.bad, c.cause, err
}
