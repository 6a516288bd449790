package image

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// Media types (image-spec media-types.md; Docker's are those of its schema 2).
const (
	TypeIndex          = "application/vnd.oci.image.index.v1+json"
	TypeManifest       = "application/vnd.oci.image.manifest.v1+json"
	TypeConfig         = "application/vnd.oci.image.config.v1+json"
	TypeLayer          = "application/vnd.oci.image.layer.v1.tar"
	TypeLayerGzip      = TypeLayer + "+gzip"
	TypeLayerZstd      = TypeLayer + "+zstd"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// refName is the annotation of index.json that names an image (image-spec annotations.md).
const refName = "org.opencontainers.image.ref.name"

// Digest is "sha256:" and 64 hexadecimal digits. It names a blob.
type Digest string

// Valid reports whether it has that form, so that it can be part of a path.
func (d Digest) Valid() bool {
	digits, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(digits) != 64 || strings.ToLower(digits) != digits {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

// Hex is the digits alone.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), "sha256:") }

// Short is the first twelve digits, as tables show them.
func (d Digest) Short() string { return d.Hex()[:min(12, len(d.Hex()))] }

// Descriptor points at a blob (image-spec descriptor.md).
type Descriptor struct {
	MediaType   string            `json:"mediaType,omitempty"`
	Digest      Digest            `json:"digest"`
	Size        int64             `json:"size"` // bytes
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *Platform         `json:"platform,omitempty"`
}

// Platform is what an image runs on, in the words of GOOS and GOARCH.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// ParsePlatform reads OS/ARCH[/VARIANT], or ARCH alone, of Linux.
func ParsePlatform(s string) (Platform, error) {
	part := strings.Split(s, "/")
	if len(part) == 1 {
		part = []string{"linux", s}
	}
	for _, word := range part {
		if word == "" || len(part) > 3 {
			return Platform{}, errors.New("a platform is written OS/ARCH or OS/ARCH/VARIANT")
		}
	}
	return Platform{OS: part[0], Architecture: part[1], Variant: strings.Join(part[2:], "")}, nil
}

// String is os/architecture[/variant].
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Index is an index.json, or a blob of the same form that lists an image for several platforms.
type Index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Manifests     []Descriptor `json:"manifests"`
}

// Manifest is one image: its config and its layers, from the bottom.
type Manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Config        Descriptor   `json:"config"`
	Layers        []Descriptor `json:"layers"`
}

// Config is what the image says about its layers and about the program to run (image-spec config.md).
type Config struct {
	Created      string  `json:"created,omitempty"` // RFC 3339
	Architecture string  `json:"architecture"`
	OS           string  `json:"os"`
	Variant      string  `json:"variant,omitempty"`
	Config       Process `json:"config"`
	RootFS       RootFS  `json:"rootfs"`
}

// Process is what runs where the caller names nothing else.
type Process struct {
	User       string            `json:"User,omitempty"` // as -u takes it
	Env        []string          `json:"Env,omitempty"`  // KEY=VALUE
	Entrypoint []string          `json:"Entrypoint,omitempty"`
	Cmd        []string          `json:"Cmd,omitempty"`
	WorkingDir string            `json:"WorkingDir,omitempty"`
	StopSignal string            `json:"StopSignal,omitempty"`
	Labels     map[string]string `json:"Labels,omitempty"`

	Volumes map[string]struct{} `json:"Volumes,omitempty"` // the keys are paths

	Healthcheck *Healthcheck `json:"Healthcheck,omitempty"` // Docker's; OCI's specification has none
}

// Healthcheck is how to find out whether a container does its work. Zero is the default.
type Healthcheck struct {
	Test          []string      `json:"Test,omitempty"` // NONE, CMD and arguments, or CMD-SHELL and a command
	Interval      time.Duration `json:"Interval,omitempty"`
	Timeout       time.Duration `json:"Timeout,omitempty"`
	StartPeriod   time.Duration `json:"StartPeriod,omitempty"`
	StartInterval time.Duration `json:"StartInterval,omitempty"`
	Retries       int           `json:"Retries,omitempty"`
}

// RootFS names the layers by the digests of their tar streams, uncompressed, from the bottom.
type RootFS struct {
	Type    string   `json:"type"` // "layers"
	DiffIDs []Digest `json:"diff_ids"`
}
