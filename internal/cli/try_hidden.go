package cli

import (
	"path/filepath"
	"strings"
)

// homeStores are the places below a home directory where credentials are kept, or what was typed. What others keep their
// tokens in belongs here; locald(1) shows the same list.
var homeStores = []string{
	// keys, passwords and keyrings
	".ssh", ".gnupg", ".pki", ".password-store", ".age", ".local/share/keyrings", ".local/share/kwalletd", ".gnome2/keyrings",
	".netrc", "_netrc", ".authinfo", ".authinfo.gpg", ".git-credentials", ".pgpass", ".my.cnf", ".mylogin.cnf", ".vault-token", ".smbcredentials",
	".Xauthority", ".ICEauthority", ".dbus", ".krb5", ".k5login", ".s3cfg", ".boto", ".kaggle", ".databrickscfg", ".snowsql",
	// clouds and clusters
	".aws", ".azure", ".kube", ".oci", ".aliyun", ".ibmcloud", ".bluemix", ".chef", ".fly", ".terraform.d", ".terraformrc", ".pulumi", ".minikube",
	// containers: also the sockets of engines
	".docker", ".colima", ".lima", ".orbstack", ".rd", ".config/containers/auth.json", ".local/share/containers/podman/machine",
	// package managers
	".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".gem/credentials", ".cargo/credentials", ".cargo/credentials.toml", ".m2/settings.xml",
	".m2/settings-security.xml", ".gradle/gradle.properties", ".nuget", ".composer/auth.json", ".bundle/config", ".condarc", ".continuum",
	// browsers, mail and messengers
	".mozilla", ".thunderbird", ".cache/mozilla", ".cache/google-chrome", ".cache/chromium", ".var/app", "snap", ".electrum", ".bitcoin", ".ethereum", ".monero",
	// agents and assistants
	".claude", ".claude.json", ".codex", ".gemini", ".copilot", ".cursor", ".huggingface", ".cache/huggingface/token", ".openai", ".anthropic",
	// what was typed
	".bash_history", ".zsh_history", ".zhistory", ".sh_history", ".history", ".local/share/fish/fish_history", ".python_history", ".node_repl_history",
	".psql_history", ".mysql_history", ".sqlite_history", ".rediscli_history", ".lesshst", ".viminfo",
}

// configStores are below XDG_CONFIG_HOME, which is .config.
var configStores = []string{
	"gcloud", "gh", "glab-cli", "hub", "git/credentials", "doctl", "hcloud", "heroku", "helm", "rclone", "op", "1Password", "Bitwarden", "keepassxc",
	"sops", "age", "fly", "netlify", "configstore", "stripe", ".wrangler", "composer/auth.json", "pip/pip.conf", "pypoetry/auth.toml", "containers/auth.json",
	"google-chrome", "google-chrome-beta", "chromium", "BraveSoftware", "microsoft-edge", "opera", "vivaldi", "Code", "Cursor", "VSCodium", "JetBrains",
	"github-copilot", "Slack", "discord", "Signal", "Element", "evolution", "kwalletd5", "kwalletrc", "goa-1.0", "pulse/cookie", "weechat", "irssi",
}

// dataStores are below XDG_DATA_HOME, which is .local/share.
var dataStores = []string{"keyrings", "kwalletd", "TelegramDesktop", "evolution", "JetBrains", "fish/fish_history"}

// storeVariables name a store, or several with colons between them.
var storeVariables = []string{
	"SSH_AUTH_SOCK", "GPG_AGENT_INFO", "GNUPGHOME", "PASSWORD_STORE_DIR", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "KUBECONFIG", "AZURE_CONFIG_DIR",
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "REGISTRY_AUTH_FILE", "NETRC", "PGPASSFILE",
	"NPM_CONFIG_USERCONFIG", "GH_CONFIG_DIR", "PIP_CONFIG_FILE", "XAUTHORITY", "ICEAUTHORITY", "HISTFILE", "KRB5CCNAME", "VAULT_TOKEN_PATH", "SOPS_AGE_KEY_FILE",
}

// machineStores belong to the machine. Most can be read by root alone; the sockets among them give power.
var machineStores = []string{
	"/var/lib/docker", "/var/lib/containerd", "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket", "/var/lib/incus/unix.socket",
	"/var/lib/libvirt", "/var/lib/sss/pipes", "/etc/ssl/private", "/etc/shadow", "/etc/gshadow",
}

// stores are the paths to hide from this environment, whether they exist or not.
func stores(homes []string, getenv func(string) string) []string {
	list := machineStores[:len(machineStores):len(machineStores)]
	below := func(dir string, names []string) {
		for _, name := range names {
			list = append(list, filepath.Join(dir, name))
		}
	}
	for _, home := range homes {
		below(home, homeStores)
		below(filepath.Join(home, ".config"), configStores)
		below(filepath.Join(home, ".local/share"), dataStores)
	}
	for name, names := range map[string][]string{
		"XDG_CONFIG_HOME": configStores, "XDG_DATA_HOME": dataStores, "CARGO_HOME": {"credentials", "credentials.toml"},
		"GRADLE_USER_HOME": {"gradle.properties"}, "HF_HOME": {"token"}, "COMPOSER_HOME": {"auth.json"},
	} {
		if dir := getenv(name); filepath.IsAbs(dir) {
			below(dir, names)
		}
	}
	for _, name := range storeVariables {
		for path := range strings.SplitSeq(strings.TrimPrefix(getenv(name), "FILE:"), ":") {
			if filepath.IsAbs(path) {
				list = append(list, filepath.Clean(path))
			}
		}
	}
	return list
}
