package cli

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestManualStores holds locald(1) to the tables of what is hidden.
func TestManualStores(t *testing.T) {
	manual, err := os.ReadFile("../../docs/man/locald.1")
	if err != nil {
		t.Fatal(err)
	}
	for macro, names := range map[string][]string{".Pa ": slices.Concat(homeStores, configStores, dataStores, machineStores), ".Ev ": storeVariables} {
		for _, name := range names {
			if !strings.Contains(string(manual), "\n"+macro+name+" ") {
				t.Errorf("locald(1) does not have %s", name)
			}
		}
	}
}

func TestStores(t *testing.T) {
	env := map[string]string{"KUBECONFIG": "/k/a:/k/b:relative", "KRB5CCNAME": "FILE:/tmp/krb5cc", "XDG_CONFIG_HOME": "/c", "SSH_AUTH_SOCK": "/x/agent"}
	list := stores([]string{"/home/u"}, func(name string) string { return env[name] })
	for _, want := range []string{"/home/u/.ssh", "/home/u/.config/gcloud", "/c/gcloud", "/k/a", "/k/b", "/tmp/krb5cc", "/x/agent"} {
		if !slices.Contains(list, want) {
			t.Errorf("%s is not hidden", want)
		}
	}
	for _, path := range list {
		if !strings.HasPrefix(path, "/") || path == "/" || path == "/home/u" || path == "/c" {
			t.Errorf("%q is hidden", path)
		}
	}
}
