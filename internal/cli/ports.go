package cli

import (
	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/publish"
)

// publishes reads --publish. Ports are those of a network of the container's own, which it has then.
func (f *runFlags) publishes(networkGiven bool) (given bool, err error) {
	f.ports = nil
	for _, word := range f.publish {
		ports, err := publish.Parse(word)
		if err != nil {
			return networkGiven, &failure{id: idUsage, what: "--publish " + word + ": " + err.Error(), try: []string{"-p 8080:80"}}
		}
		f.ports = append(f.ports, ports...)
	}
	if len(f.ports) == 0 {
		return networkGiven, nil
	}
	if !networkGiven {
		f.network = string(bundle.NetworkNone)
	}
	if f.network == string(bundle.NetworkHost) {
		return true, &failure{
			id: idUsage, what: "--publish " + f.publish[0] + ": with --network host the ports of the container are this machine's already",
			try: []string{"--network none -p " + f.publish[0]},
		}
	}
	return true, nil
}
