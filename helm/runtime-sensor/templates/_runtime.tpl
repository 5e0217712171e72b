{{/*
The node's folders of its container runtime, below which the sensor looks (sensor/node/identify): sockets, and
bundles that tell whose a container is that lives shorter than a call takes.
*/}}

{{- define "sensor.runtime" -}}
{{- $version := .Capabilities.KubeVersion.Version }}
{{- if ne .Values.sensor.containerRuntime "auto" }}
{{- .Values.sensor.containerRuntime }}
{{- else if or (contains "+k3s" $version) (contains "+rke2" $version) }}k3s
{{- else if contains "+k0s" $version }}k0s
{{- else if include "openshift.found" . }}crio
{{- else }}containerd
{{- end }}
{{- end }}

{{/* JSON: a list of {name, path, type}. */}}
{{- define "sensor.runtimePaths" -}}
{{- $folders := dict
  "containerd" (list (dict "name" "containerd" "path" "/run/containerd"))
  "crio" (list (dict "name" "crio" "path" "/run/crio") (dict "name" "crio-bundles" "path" "/run/containers/storage"))
  "k3s" (list (dict "name" "containerd" "path" "/run/k3s/containerd"))
  "k0s" (list (dict "name" "containerd" "path" "/run/k0s"))
  "microk8s" (list (dict "name" "containerd" "path" "/var/snap/microk8s/common/run"))
  "cri-dockerd" (list (dict "name" "cri-dockerd" "path" "/run/cri-dockerd.sock" "type" "Socket"))
  "off" list }}
{{- get $folders (include "sensor.runtime" .) | toJson }}
{{- end }}
