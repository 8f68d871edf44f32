// Package bucket keeps the hub's photos in a bucket of an object store that
// speaks S3: Amazon's, MinIO, Ceph, Aliyun OSS and others.
//
//   - [Vault] is a [blob.Vault]; [Open] makes it of an address.
package bucket

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"otor/hub/blob"
	"otor/internal/entry"
)

// ErrAddress says that an address names no bucket.
var ErrAddress = errors.New("not the address of a bucket")

// Vault keeps files in a bucket, each under prefix/ab/abcd….
type Vault struct {
	client         *minio.Client
	host           string
	bucket, prefix string
}

// Open reads an address, https://HOST/BUCKET or https://HOST/BUCKET/PREFIX
// (http for a store on a network of one's own). The keys are those of the
// environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or MINIO_ROOT_USER and
// MINIO_ROOT_PASSWORD, or the file of the AWS tools. ?region=R names a region.
// Errors: [ErrAddress]. Nothing is asked for yet.
func Open(address string) (*Vault, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	name, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || name == "" || u.User != nil {
		return nil, fmt.Errorf("%w: write it like https://s3.example.org/BUCKET, with the keys in the environment", ErrAddress)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{},
		}),
		Secure: u.Scheme == "https", Region: u.Query().Get("region"), BucketLookup: minio.BucketLookupAuto,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return &Vault{client, u.Host, name, prefix}, nil
}

func (v *Vault) key(h entry.Hash) string {
	name := hex.EncodeToString(h[:])
	return path.Join(v.prefix, name[:2], name)
}

// Put implements [blob.Vault].
func (v *Vault) Put(ctx context.Context, h entry.Hash, file string) error {
	_, err := v.client.FPutObject(ctx, v.bucket, v.key(h), file, minio.PutObjectOptions{ContentType: "application/octet-stream"})
	return err
}

// Size implements [blob.Vault].
func (v *Vault) Size(ctx context.Context, h entry.Hash) (int64, error) {
	o, err := v.client.StatObject(ctx, v.bucket, v.key(h), minio.StatObjectOptions{})
	if err != nil {
		return 0, missing(err)
	}
	return o.Size, nil
}

// Open implements [blob.Vault].
func (v *Vault) Open(ctx context.Context, h entry.Hash) (io.ReadCloser, error) {
	o, err := v.client.GetObject(ctx, v.bucket, v.key(h), minio.GetObjectOptions{})
	if err != nil {
		return nil, missing(err)
	}
	if _, err := o.Stat(); err != nil { // only now the store is asked
		return nil, errors.Join(missing(err), o.Close())
	}
	return o, nil
}

// Remove implements [blob.Vault].
func (v *Vault) Remove(ctx context.Context, h entry.Hash) error {
	return v.client.RemoveObject(ctx, v.bucket, v.key(h), minio.RemoveObjectOptions{})
}

// Where implements [blob.Vault].
func (v *Vault) Where() string { return "bucket " + v.bucket + " at " + v.host }

// missing tells "it is not there" from other troubles.
func missing(err error) error {
	if r := minio.ToErrorResponse(err); r.StatusCode == http.StatusNotFound {
		return blob.ErrNotFound
	}
	return err
}
