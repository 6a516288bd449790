package clients_test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// image writes an archive with one image, box:latest, of one layer: an OCI image layout (image-layout.md of the image
// spec), which also has the manifest.json that `docker load` reads.
func image(t *testing.T) string {
	t.Helper()
	layer, err := os.ReadFile(dir + "/layer.tar")
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	files := map[string][]byte{}
	text := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	blob := func(mediaType string, data []byte) object {
		sum := fmt.Sprintf("%x", sha256.Sum256(data))
		files["blobs/sha256/"+sum] = data
		return object{"mediaType": "application/vnd.oci.image." + mediaType, "digest": "sha256:" + sum, "size": len(data)}
	}
	path := func(descriptor object) string {
		return "blobs/sha256/" + descriptor["digest"].(string)[len("sha256:"):]
	}

	rootfs := blob("layer.v1.tar", layer)
	config := blob("config.v1+json", text(object{"architecture": "amd64", "os": "linux", "config": object{"Env": []string{"PATH=/bin"}, "Cmd": []string{"sh"}},
		"rootfs": object{"type": "layers", "diff_ids": []any{rootfs["digest"]}}}))
	manifest := blob("manifest.v1+json", text(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []any{rootfs}}))
	manifest["annotations"] = object{"io.containerd.image.name": "box:latest", "org.opencontainers.image.ref.name": "latest"}
	files["oci-layout"] = text(object{"imageLayoutVersion": "1.0.0"})
	files["index.json"] = text(object{"schemaVersion": 2, "manifests": []any{manifest}})
	files["manifest.json"] = text([]any{object{"Config": path(config), "RepoTags": []string{"box:latest"}, "Layers": []string{path(rootfs)}}})

	archive, err := os.Create(dir + "/image.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	out := tar.NewWriter(archive)
	for name, data := range files {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Name()
}
