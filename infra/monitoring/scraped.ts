/** The annotations by which Prometheus finds a pod's metrics. The port must be one that a container declares. */
export const scraped = (port: number) => ({
  "prometheus.io/scrape": "true",
  "prometheus.io/port": String(port),
  "prometheus.io/path": "/metrics",
});
