// adapter is prometheus-adapter, built from the packages of its Go module. The module's own command needs the Kubernetes version
// of its release. This program uses the version of the cluster's other programs, so that only the adapter's own packages must be
// compiled in addition. It has only those flags of the official program that Berth sets, and the flags of an API server.
package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/component-base/logs"
	"k8s.io/klog/v2"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/metrics-server/pkg/api"

	"sigs.k8s.io/prometheus-adapter/pkg/api/generated/openapi"
	"sigs.k8s.io/prometheus-adapter/pkg/client"
	"sigs.k8s.io/prometheus-adapter/pkg/client/metrics"
	"sigs.k8s.io/prometheus-adapter/pkg/config"
	customprovider "sigs.k8s.io/prometheus-adapter/pkg/custom-provider"
	externalprovider "sigs.k8s.io/prometheus-adapter/pkg/external-provider"
	"sigs.k8s.io/prometheus-adapter/pkg/naming"
	"sigs.k8s.io/prometheus-adapter/pkg/resourceprovider"
)

const name = "prometheus-metrics-adapter"

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	ctx := server.SetupSignalContext()
	adapter := &cmd.AdapterBase{Name: name}
	flags := adapter.Flags()
	prometheusURL := flags.String("prometheus-url", "https://localhost", "the URL of Prometheus")
	configFile := flags.String("config", "", "the file that maps metrics of Prometheus to metrics of Kubernetes")
	relist := flags.Duration("metrics-relist-interval", 10*time.Minute, "how often the adapter lists the metrics again")
	maxAge := flags.Duration("metrics-max-age", 0, "how long a metric without values stays in the list; default: the interval")
	logs.AddFlags(flags)
	check(flags.Parse(os.Args))
	*maxAge = max(*maxAge, *relist)
	rules := must(config.FromFile(*configFile))
	address := must(url.Parse(*prometheusURL))
	describe(adapter)
	requests := withoutTimeout{client.NewGenericAPIClient(http.DefaultClient, address, nil)}
	prometheus := client.NewClientForAPI(
		metrics.InstrumentGenericAPIClient(requests, address.String()), http.MethodGet)

	mapper := must(adapter.RESTMapper())
	if len(rules.Rules) > 0 {
		namers := must(naming.NamersFromConfig(rules.Rules, mapper))
		objects := must(adapter.DynamicClient())
		provider, lister := customprovider.NewPrometheusProvider(mapper, objects, prometheus, namers, *relist, *maxAge)
		lister.RunUntil(ctx.Done())
		adapter.WithCustomMetrics(provider)
	}
	if len(rules.ExternalRules) > 0 {
		namers := must(naming.NamersFromConfig(rules.ExternalRules, mapper))
		provider, lister := externalprovider.NewExternalPrometheusProvider(prometheus, namers, *relist, *maxAge)
		lister.RunUntil(ctx.Done())
		adapter.WithExternalMetrics(provider)
	}
	if rules.ResourceRules != nil {
		serveResources(ctx, adapter, must(resourceprovider.NewProvider(prometheus, mapper, rules.ResourceRules)))
	}
	check(adapter.Run(ctx))
}

// check ends the program if there is an error.
func check(err error) {
	if err != nil {
		klog.Fatal(err)
	}
}

// must returns the value, and ends the program if there is an error.
func must[T any](value T, err error) T {
	check(err)
	return value
}

// withoutTimeout removes the parameter `timeout` from each query, because the adapter sends a negative value. The context limits
// the time of the request.
type withoutTimeout struct{ client.GenericAPIClient }

func (c withoutTimeout) Do(ctx context.Context, verb, endpoint string, query url.Values) (client.APIResponse, error) {
	query.Del("timeout")
	return c.GenericAPIClient.Do(ctx, verb, endpoint, query)
}

// describe sets the OpenAPI documents, from which the API server takes the names of the types of metrics.k8s.io.
func describe(adapter *cmd.AdapterBase) {
	names := openapinamer.NewDefinitionNamer(api.Scheme, apiserver.Scheme)
	adapter.OpenAPIConfig = server.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, names)
	adapter.OpenAPIV3Config = server.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, names)
	adapter.OpenAPIConfig.Info.Title, adapter.OpenAPIConfig.Info.Version = name, "1.0.0"
	adapter.OpenAPIV3Config.Info.Title, adapter.OpenAPIV3Config.Info.Version = name, "1.0.0"
}

// serveResources adds the API metrics.k8s.io, and the adapter's own metrics at /metrics.
func serveResources(ctx context.Context, adapter *cmd.AdapterBase, provider api.MetricsGetter) {
	objects := must(metadata.NewForConfig(must(adapter.ClientConfig())))
	running := func(options *metav1.ListOptions) { options.FieldSelector = "status.phase=Running" }
	pods := metadatainformer.NewFilteredSharedInformerFactory(objects, 0, corev1.NamespaceAll, running).
		ForResource(corev1.SchemeGroupVersion.WithResource("pods"))
	nodes := must(adapter.Informers()).Core().V1().Nodes().Lister()
	must(adapter.Config()).GenericConfig.EnableMetrics = false
	served := must(adapter.Server()).GenericAPIServer
	served.Handler.NonGoRestfulMux.HandleFunc("/metrics", must(metrics.MetricsHandler()))
	check(api.Install(provider, pods.Lister(), nodes, served, nil))
	go pods.Informer().Run(ctx.Done())
}
