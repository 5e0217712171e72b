"""Contents of ``/proc/PID/cgroup`` as they were seen, each with the place where somebody published it.

Ids and paths are theirs. ``_each`` writes out a file whose lines share a path. Where a source shows the
path only (``systemctl status``, ``systemd-cgls``, a listing of the hierarchy, a table of a test), its line is
put around it here and the source says so.
"""

from __future__ import annotations

from typing import NamedTuple


class Recorded(NamedTuple):
    """``runtime`` ``None`` means that the process is in no container. ``runc_ids`` are those that plain runc
    has on that host."""

    name: str
    source: str
    content: str
    runtime: str | None = None
    container_id: str | None = None
    pod_uid: str | None = None
    runc_ids: tuple[str, ...] = ()


def _each(path: str, lines: str) -> str:
    """``12:pids`` becomes ``12:pids:PATH``; what has a path already stays as it is."""
    whole = (line if line.count(":") > 1 else f"{line}:{path}" for line in lines.split())
    return "\n".join(whole) + "\n"


_TWELVE = (
    "12:devices 11:pids 10:freezer 9:cpuset 8:cpu,cpuacct 7:hugetlb 6:rdma:/ 5:perf_event 4:blkio 3:memory"
    " 2:net_cls,net_prio 1:name=systemd"
)
_ELEVEN = (
    "11:pids 10:perf_event 9:memory 8:cpu,cpuacct 7:blkio 6:cpuset 5:hugetlb 4:devices 3:freezer"
    " 2:net_cls,net_prio 1:name=systemd"
)
_THIRTEEN = (
    "13:memory 12:hugetlb 11:misc 10:blkio 9:rdma 8:perf_event 7:cpuset 6:pids 5:cpu,cpuacct 4:freezer"
    " 3:devices 2:net_cls,net_prio 1:name=systemd"
)

_NEUVECTOR = "github.com/neuvector/neuvector share/system/cgroup_test.go"
_DD_MAPPER = "github.com/DataDog/datadog-agent pkg/util/cgroups/pid_mapper_test.go"
_DD_SECURITY = "github.com/DataDog/datadog-agent pkg/security/utils/cgroup_test.go"
_DD_READER = "github.com/DataDog/datadog-agent pkg/util/cgroups/readerv1_test.go (path)"
_DD_GO = "github.com/DataDog/dd-trace-go internal/container_linux_test.go"
_OTEL_JAVA = (
    "github.com/open-telemetry/opentelemetry-java-instrumentation"
    " dd-trace-ot/src/test/groovy/datadog/opentracing/ContainerInfoTest.groovy"
)
_OTEL_GO = "github.com/open-telemetry/opentelemetry-go sdk/resource/container_test.go"
_ELASTIC = "github.com/elastic/apm tests/agents/json-specs/cgroup_parsing.json"
_ELASTIC_GO = "github.com/elastic/apm-agent-go apmhostutil, TestCgroupContainerInfo*"
_ELASTIC_PYTHON = "github.com/elastic/apm-agent-python tests/utils/cgroup_tests.py"
_SPIRE = "github.com/spiffe/spire pkg/agent/plugin/workloadattestor/k8s/testdata"
_SPIRE_PATHS = "github.com/spiffe/spire pkg/agent/plugin/workloadattestor/k8s/k8s_posix_test.go (path)"
_STACKROX = "github.com/stackrox/collector collector/test/ConnScraperTest.cpp"
_STACKROX_FACT = "github.com/stackrox/fact process.rs, extract_container_id (path)"

CONTAINERD = (
    Recorded(
        "containerd 1.2 in Kubernetes, cgroupfs, v1",
        f"{_NEUVECTOR} TestK8sContainerd_v1_2_13",
        _each(
            "/kubepods/besteffort/poda36d0c1d-0b26-4451-8d80-9c195e004afa"
            "/5dd96d5394ca930a854a390ea46f7515a8bc930123eb3251ba20f2708a38fc61",
            _ELEVEN,
        ),
        "containerd",
        "5dd96d5394ca930a854a390ea46f7515a8bc930123eb3251ba20f2708a38fc61",
        "a36d0c1d-0b26-4451-8d80-9c195e004afa",
    ),
    Recorded(
        "containerd 1.4 that drives cgroupfs below its own service while the kubelet names slices, v1",
        f"{_NEUVECTOR} TestK8sContainerd_v1_4_4",
        _each(
            "/system.slice/containerd.service"
            "/kubepods-besteffort-pod2105e389_7471_476e_a50f_6074cef29bbd.slice"
            ":cri-containerd:d3d8ccf5cca91931c6285c1d7472c413dd5a7700fddc0aa9f89a9ac7008b003e",
            "11:pids 8:cpu,cpuacct 6:devices 4:memory 2:blkio 1:name=systemd",
        ),
        "containerd",
        "d3d8ccf5cca91931c6285c1d7472c413dd5a7700fddc0aa9f89a9ac7008b003e",
        "2105e389-7471-476e-a50f-6074cef29bbd",
    ),
    Recorded(
        "containerd of EKS on Bottlerocket, systemd, hybrid",
        f"{_NEUVECTOR} TestK8sBottleRocket",
        _each(
            "/kubepods.slice/kubepods-besteffort.slice"
            "/kubepods-besteffort-poddd1bf9d1_241d_47f5_8e25_12de83135812.slice"
            "/cri-containerd-f45298cd514d1930c4fe3afc4412e59547f7e3148fddd22ca33cefce046eb830.scope",
            "11:cpuset 10:blkio 9:hugetlb 8:pids 7:net_cls,net_prio 6:freezer 5:memory 4:cpu,cpuacct 3"
            ":devices"
            " 2:perf_event 1:name=systemd 0:",
        ),
        "containerd",
        "f45298cd514d1930c4fe3afc4412e59547f7e3148fddd22ca33cefce046eb830",
        "dd1bf9d1-241d-47f5-8e25-12de83135812",
    ),
    Recorded(
        "containerd, cgroupfs, hybrid whose v2 part says containerd.service",
        f"{_DD_MAPPER} cgroupV1ProcCgroup",
        _each(
            "/kubepods/burstable/pod15513b48-e7a5-48fc-b9e3-92f713f36504"
            "/a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015f",
            "12:rdma:/ 11:memory 10:hugetlb 9:devices 8:perf_event 7:cpuset 6:net_cls,net_prio 5:cpu,cpuacct"
            " 4:blkio 3:freezer 2:pids 1:name=systemd 0::/system.slice/containerd.service",
        ),
        "containerd",
        "a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015f",
        "15513b48-e7a5-48fc-b9e3-92f713f36504",
    ),
    Recorded(
        "containerd in kuberuntime.slice, colons in the path, hybrid",
        f"{_DD_MAPPER} cgroupV1ProcCgroupWithColons",
        _each(
            "/kuberuntime.slice/containerd.service"
            "/kubepods-burstable-pod5be537b8_3a4e_4607_af71_31598b3a4fd3.slice"
            ":cri-containerd:1c8f503430973935b7d8a80c4f58c0946b052a021e6855b358e5ec38601af120",
            "10:pids 8:memory 6:blkio 5:devices 2:cpu,cpuacct 1:name=systemd 0::/",
        ),
        "containerd",
        "1c8f503430973935b7d8a80c4f58c0946b052a021e6855b358e5ec38601af120",
        "5be537b8-3a4e-4607-af71-31598b3a4fd3",
    ),
    Recorded(
        "containerd, systemd, v1 with an empty v2",
        f"{_DD_SECURITY} cgroupv1-cri",
        _each(
            "/kubepods.slice/kubepods-burstable.slice"
            "/kubepods-burstable-pod98005c3b_b650_4efe_8b91_2164d784397f.slice"
            "/cri-containerd-e8ac3efec3322d7f13cfa0cdee4344754d01bd4e50fea44e0753e83fdb74cab3.scope",
            f"{_THIRTEEN} 0::/",
        ),
        "containerd",
        "e8ac3efec3322d7f13cfa0cdee4344754d01bd4e50fea44e0753e83fdb74cab3",
        "98005c3b-b650-4efe-8b91-2164d784397f",
    ),
    Recorded(
        "containerd, cgroupfs, v2",
        f"{_DD_MAPPER} cgroupV2ProcCgroup",
        "0::/kubepods/burstable/pod15513b48-e7a5-48fc-b9e3-92f713f36504"
        "/a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015f",
        "containerd",
        "a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015f",
        "15513b48-e7a5-48fc-b9e3-92f713f36504",
    ),
    Recorded(
        "k3s in a pod of k3s (k3k), cgroupfs, v2",
        "https://github.com/rancher/k3k/pull/792",
        "0::/kubepods/burstable/pod404bd273-57bc-4508-a386-e2b76d3c9cfe"
        "/3aaaa76f09e1de6bb75e84f9c15b737a2d590f69757953e3ec262bd5861dc15b",
        "containerd",
        "3aaaa76f09e1de6bb75e84f9c15b737a2d590f69757953e3ec262bd5861dc15b",
        "404bd273-57bc-4508-a386-e2b76d3c9cfe",
    ),
    Recorded(
        "a static pod by its hash, v1 (listing of the hierarchy)",
        "https://github.com/kubernetes/kubernetes/issues/106514",
        "1:name=systemd:/system.slice/containerd.service"
        "/kubepods-burstable-pod36b6d6be73b1065af369b3985edafa09.slice"
        ":cri-containerd:79fedb3bd23ca77c9d9ccb41909038316f713df22b54b7d942b71d3812e7c74e",
        "containerd",
        "79fedb3bd23ca77c9d9ccb41909038316f713df22b54b7d942b71d3812e7c74e",
        "36b6d6be73b1065af369b3985edafa09",
    ),
    Recorded(
        "containerd by a client without CRI (ctr in the namespace k8s.io; Google Cloud Shell), v2",
        "public notes on Google Cloud Shell, cat /proc/$$/cgroup",
        "0::/k8s.io/3d8f6f63ac932eaea905aceb8f4549b019a92f4917365b6eb0011af11d809476",
        "containerd",
        "3d8f6f63ac932eaea905aceb8f4549b019a92f4917365b6eb0011af11d809476",
    ),
    Recorded(
        "kind by its node, systemd, v2 (listing of the hierarchy)",
        "https://github.com/containerd/nri/pull/227",
        "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"
        "/kubelet-kubepods-besteffort-pod1e597579_417e_482f_bf65_5fe170c3aebd.slice"
        "/cri-containerd-a09bc17f5aa29b0dbdec9ede5f46cf1396d2405917ab02e6f1eb1019f388396e.scope",
        "containerd",
        "a09bc17f5aa29b0dbdec9ede5f46cf1396d2405917ab02e6f1eb1019f388396e",
        "1e597579-417e-482f-bf65-5fe170c3aebd",
    ),
    Recorded(
        "containerd below /kuberuntime, a pod's name without .slice",
        _OTEL_GO,
        "13:name=systemd:/kuberuntime/containerd/kubepods-pod872d2066_00ef_48ea_a7d8_51b18b72d739"
        ":cri-containerd:e857a4bf05a69080a759574949d7a0e69572e27647800fa7faff6a05a8332aa1",
        "containerd",
        "e857a4bf05a69080a759574949d7a0e69572e27647800fa7faff6a05a8332aa1",
        "872d2066-00ef-48ea-a7d8-51b18b72d739",
    ),
    Recorded(
        "names of slices under cgroupfs, without .slice",
        _DD_READER,
        "9:memory:/kubepods/kubepods-besteffort/kubepods-besteffort-podb3922967_14e1_4867_9388_461bac94b37e"
        "/2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41",
        "containerd",
        "2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41",
        "b3922967-14e1-4867-9388-461bac94b37e",
    ),
    Recorded(
        "OpenTelemetry's report of containerd below its service, v1",
        "https://github.com/open-telemetry/opentelemetry-java/issues/4507",
        "11:perf_event:/kubepods-besteffort-pod0125ec2f_b64a_4868_8f5b_94b56cbab864.slice"
        ":cri-containerd:ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459\n"
        "5:pids:/system.slice/containerd.service/kubepods-besteffort-pod0125ec2f_b64a_4868_8f5b_94b56cbab864"
        ".slice:cri-containerd:ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459\n",
        "containerd",
        "ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459",
        "0125ec2f-b64a-4868-8f5b-94b56cbab864",
    ),
)

CRIO = (
    Recorded(
        "CRI-O 1.19 of OpenShift 4.6, systemd, v1",
        f"{_NEUVECTOR} TestK8sCrio_v1_19",
        _each(
            "/kubepods.slice/kubepods-besteffort.slice"
            "/kubepods-besteffort-pod8ca306fa_3c03_47fa_97dd_19979c345572.slice"
            "/crio-d6d725b909f37c3e232aadfbafa950a58bfe7baa579ba8c47a12be88bb921607.scope",
            _TWELVE,
        ),
        "cri-o",
        "d6d725b909f37c3e232aadfbafa950a58bfe7baa579ba8c47a12be88bb921607",
        "8ca306fa-3c03-47fa-97dd-19979c345572",
    ),
    Recorded(
        "CRI-O 1.17 of OpenShift 4.4, a static pod by its hash, v1",
        f"{_NEUVECTOR} TestK8sCrio_v1_17",
        _each(
            "/kubepods.slice/kubepods-burstable.slice"
            "/kubepods-burstable-pod487a0dc6dccaeefbcfedba7a7ce1ca18.slice"
            "/crio-7a1fd6fe8cdfbd44dc78c4cc85dad7031eaab4365801684cad0aabdeaf863f9e.scope",
            "12:hugetlb 11:blkio 10:freezer 9:pids 8:devices 7:rdma:/ 6:perf_event 5:cpuset 4:cpu,cpuacct"
            " 3:memory 2:net_cls,net_prio 1:name=systemd",
        ),
        "cri-o",
        "7a1fd6fe8cdfbd44dc78c4cc85dad7031eaab4365801684cad0aabdeaf863f9e",
        "487a0dc6dccaeefbcfedba7a7ce1ca18",
    ),
    Recorded(
        "CRI-O, systemd, v1",
        f"{_ELASTIC} testUnderscores",
        "1:name=systemd:/kubepods.slice/kubepods-burstable.slice"
        "/kubepods-burstable-pod90d81341_92de_11e7_8cf2_507b9d4141fa.slice"
        "/crio-2227daf62df6694645fee5df53c1f91271546a9560e8600a525690ae252b7f63.scope",
        "cri-o",
        "2227daf62df6694645fee5df53c1f91271546a9560e8600a525690ae252b7f63",
        "90d81341-92de-11e7-8cf2-507b9d4141fa",
    ),
    Recorded(
        "CRI-O of MicroShift, v2 (systemd-cgls)",
        "https://github.com/openshift/microshift/pull/697",
        "0::/kubepods.slice/kubepods-besteffort.slice"
        "/kubepods-besteffort-podc8bad552_5c99_4d4f_b71c_c426c0cde014.slice"
        "/crio-15b6e0c6490cad17fcf69eb837794349b4df96f84ba96c6be9828fe281c055a9.scope",
        "cri-o",
        "15b6e0c6490cad17fcf69eb837794349b4df96f84ba96c6be9828fe281c055a9",
        "c8bad552-5c99-4d4f-b71c-c426c0cde014",
    ),
    Recorded(
        "conmon in the slice of a pod, v1 (systemctl status)",
        "https://github.com/opencontainers/runc/issues/4620",
        "1:name=systemd:/kubepods.slice/kubepods-burstable.slice"
        "/kubepods-burstable-pod207aaad1_659f_4db8_88e0_46e0cdcc3004.slice"
        "/crio-conmon-32da98c8522068be05a7510a3eddb09cad6ed2f03286180d0e931d0d0b6224a6.scope",
    ),
    Recorded(
        "conmon in system.slice, v2 (systemd-cgls)",
        "https://github.com/openshift/microshift/pull/697",
        "0::/system.slice/crio-conmon-e0c85fe7644a858988d9687c2e0736a7d31922740d0f3e001c6b2e0aa7e5f528.scope",
    ),
    Recorded(
        "conmon under cgroupfs, v1 (the end of a path)",
        "https://github.com/kata-containers/runtime/issues/1515",
        "7:pids:/kubepods/besteffort/pod5884dc6c-5b0c-11e9-90bc-525400cfa589"
        "/crio-conmon-f105771f71cfaeed86175bc2bc10f9925c75d12b749231716dfe9f86e640ff0a",
    ),
    Recorded(
        "CRI-O on minikube, v1",
        f"{_SPIRE_PATHS}, there devices alone",
        "9:devices,pids:/kubepods.slice/kubepods-besteffort.slice"
        "/kubepods-besteffort-pod561fd272_d131_47ef_a01b_46a997a778f3.slice"
        "/crio-030ded69d4c98fcf69c988f75a5eb3a1b4357e1432bd5510c936a40d7e9a1198.scope",
        "cri-o",
        "030ded69d4c98fcf69c988f75a5eb3a1b4357e1432bd5510c936a40d7e9a1198",
        "561fd272-d131-47ef-a01b-46a997a778f3",
    ),
    Recorded(
        "CRI-O with KubeEdge, seen from a cgroup namespace beside it, v2",
        f"{_SPIRE}/cgroups_pid_in_crio_pod.txt",
        "0::/../crio-09bc3d7ade839efec32b6bec4ec79d099027a668ddba043083ec21d3c3b8f1e6.scope",
        "cri-o",
        "09bc3d7ade839efec32b6bec4ec79d099027a668ddba043083ec21d3c3b8f1e6",
    ),
)

DOCKER = (
    Recorded(
        "Docker on CentOS, systemd, v1",
        f"{_NEUVECTOR} TestDockerIDCentOS",
        _each(
            "/system.slice/docker-9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d.scope",
            "10:devices 9:blkio 8:memory 7:freezer 6:perf_event 5:hugetlb 4:net_cls 3:cpuset 2:cpuacct,cpu"
            " 1:name=systemd",
        ),
        "docker",
        "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d",
    ),
    Recorded(
        "Docker on Ubuntu, cgroupfs, v1",
        f"{_NEUVECTOR} TestDockerIDUbuntu",
        _each(
            "/docker/31cb02944da7a12196a193cf0e0f6c226d7c453a1db62e65ba98287593a2ee30",
            "12:name=systemd 11:hugetlb 10:net_prio 9:perf_event 8:blkio 7:net_cls 6:freezer 5"
            ":devices 4:memory"
            " 3:cpuacct 2:cpu 1:cpuset",
        ),
        "docker",
        "31cb02944da7a12196a193cf0e0f6c226d7c453a1db62e65ba98287593a2ee30",
    ),
    Recorded(
        "Docker whose systemd hierarchy and pids stay at the root, v1",
        "https://github.com/moby/moby/issues/33352",
        _each(
            "/docker/5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498",
            "13:pids:/ 12:hugetlb:/ 11:net_prio:/ 10:perf_event 9:net_cls:"
            "/ 8:freezer 7:devices 6:memory 5:blkio"
            " 4:cpuacct 3:cpu 2:cpuset 1:name=systemd:/",
        ),
        "docker",
        "5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498",
    ),
    Recorded(
        "Docker, hybrid whose v2 part says containerd.service",
        "https://github.com/ctrsploit/ctrsploit/issues/280",
        _each(
            "/docker/2403ccfe427f1dc7b6120dccb9ac58c2f8456950380d587a9f33ea7f00dd303d",
            "12:net_cls,net_prio 11:freezer 10:rdma:"
            "/ 9:blkio 8:memory 7:perf_event 6:hugetlb 5:cpuset 4:devices"
            " 3:pids 2:cpu,cpuacct 1:name=systemd 0::/system.slice/containerd.service",
        ),
        "docker",
        "2403ccfe427f1dc7b6120dccb9ac58c2f8456950380d587a9f33ea7f00dd303d",
    ),
    Recorded(
        "Docker, hybrid whose v2 part says docker.service",
        f"{_ELASTIC_GO} Docker",
        _each(
            "/docker/051e2ee0bce99116029a13df4a9e943137f19f957f38ac02d6bad96f9b700f76",
            "12:devices 11:hugetlb 10:memory 9:freezer 8:perf_event 7:blkio 6:pids 5:rdma:/ 4:cpuset"
            " 3:net_cls,net_prio 2:cpu,cpuacct 1:name=systemd 0::/system.slice/docker.service",
        ),
        "docker",
        "051e2ee0bce99116029a13df4a9e943137f19f957f38ac02d6bad96f9b700f76",
    ),
    Recorded(
        "Docker, all hierarchies alike, hybrid",
        f"{_DD_SECURITY} cgroupv1-docker",
        _each("/docker/99d24a208bd5b9c9663e18c34e4bd793536f062d8299a5cca0e718994abd9182", f"{_THIRTEEN} 0:"),
        "docker",
        "99d24a208bd5b9c9663e18c34e4bd793536f062d8299a5cca0e718994abd9182",
    ),
    Recorded(
        "Docker, systemd, v2",
        f"{_DD_SECURITY} cgroupv2-docker",
        "0::/system.slice/docker-473a28bd49fcbf3a24eb55563125720311181ee184ae9b88fc9a3fbb30031e47.scope\n",
        "docker",
        "473a28bd49fcbf3a24eb55563125720311181ee184ae9b88fc9a3fbb30031e47",
    ),
    Recorded(
        "a cgroup that was made inside a container, v2 (listing of the hierarchy)",
        "https://github.com/earthly/earthly/issues/1533",
        "0::/system.slice"
        "/docker-f977b06e7dcb84063a68c1e5efe11ef0d14ef2628f62706cbd74948fa0204f70.scope/grp.scope",
        "docker",
        "f977b06e7dcb84063a68c1e5efe11ef0d14ef2628f62706cbd74948fa0204f70",
    ),
    Recorded(
        "one that cannot be a container's inside a container, v1",
        f"{_ELASTIC_GO} NonHex",
        "1:name=systemd:/docker/051e2ee0bce99116029a13df4a9e943137f19f957f38ac02d6bad96f9b700f76/not_hex\n",
        "docker",
        "051e2ee0bce99116029a13df4a9e943137f19f957f38ac02d6bad96f9b700f76",
    ),
    Recorded(
        "Docker in Docker of RancherOS: the inner one, v1",
        f"{_NEUVECTOR} TestDockerIDRancherOS",
        _each(
            "/docker/a9a5ad238e59234193ee7ec3fcff5e735b3708ea1068826952255b69e3cfa413"
            "/docker/ec08435e04266c5ba381fccbb829f626d11d8ddf5f8f547263c7a2d79ab4787a",
            "9:name=systemd 8:memory 7:blkio 6:cpu,cpuacct 5:cpuset 4:perf_event 3:net_cls,net_prio 2:freezer"
            " 1:devices",
        ),
        "docker",
        "ec08435e04266c5ba381fccbb829f626d11d8ddf5f8f547263c7a2d79ab4787a",
    ),
    Recorded(
        "Docker of Debian 8, its ids at the root, v1",
        f"{_NEUVECTOR} TestDockerIDDebian",
        _each(
            "/4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970",
            "10:net_prio 9:perf_event 8:blkio 7:net_cls 6:freezer 5:devices 4:memory 3:cpuacct 2:cpu",
        ),
        "unknown",
        "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970",
    ),
    Recorded(
        "Docker over LXC (before 0.9), v1",
        "https://github.com/puppetlabs/facter/pull/630",
        _each(
            "/lxc/e411045bbbc61eca5d3af7eb0764c30833606f51d20c176f406afbdb47bb04be",
            "9:hugetlb 8:perf_event 7:blkio 6:freezer 5:devices 4:memory 3:cpuacct 2:cpu 1:cpuset",
        ),
        "unknown",
        "e411045bbbc61eca5d3af7eb0764c30833606f51d20c176f406afbdb47bb04be",
    ),
    Recorded(
        "a build by BuildKit, v2",
        "https://github.com/cryptnono/cryptnono/issues/93",
        "0::/docker/buildkit/x5h7oizyhrunip3o2urd7of1d\n",
        "unknown",
        "x5h7oizyhrunip3o2urd7of1d",
    ),
)

DOCKER_IN_KUBERNETES = (
    # By these names nobody can tell Docker from containerd: metadata asks both.
    Recorded(
        "Docker in Kubernetes 1.6, cgroupfs, v1",
        f"{_NEUVECTOR} TestDockerIDKubepods",
        _each(
            "/kubepods/besteffort/pod74ba62da-1a3d-11e7-bb11-080027cb0e22"
            "/cb1eadb7abe3a6545e9856411207073277838e1bdc003337c2f8685faeedc32c",
            "11:devices 10:memory 9:hugetlb 8:perf_event 7:freezer 6:pids 5:cpu,cpuacct 4:cpuset 3:blkio"
            " 2:net_cls,net_prio 1:name=systemd",
        ),
        "containerd",
        "cb1eadb7abe3a6545e9856411207073277838e1bdc003337c2f8685faeedc32c",
        "74ba62da-1a3d-11e7-bb11-080027cb0e22",
    ),
    Recorded(
        "Docker in Kubernetes, systemd, v1",
        f"{_NEUVECTOR} TestDockerIDKubepods2",
        _each(
            "/kubepods.slice/kubepods-besteffort.slice"
            "/kubepods-besteffort-pod045b1e35_7f13_11e7_ac42_0050568ffca0.slice"
            "/docker-b5b6f2da8008be266864f896f93789762b2ce50792114a5c5f2cc3315af0bc70.scope",
            "11:cpuset 10:blkio 9:devices 8:memory 7:freezer 6:perf_event 5:net_prio,net_cls 4:hugetlb 3:pids"
            " 2:cpuacct,cpu 1:name=systemd",
        ),
        "docker",
        "b5b6f2da8008be266864f896f93789762b2ce50792114a5c5f2cc3315af0bc70",
        "045b1e35-7f13-11e7-ac42-0050568ffca0",
    ),
    Recorded(
        "seven controllers in one hierarchy, v1",
        f"{_NEUVECTOR} TestDockerIDKubepods3",
        _each(
            "/kubepods/besteffort/pod1fe19bf5-e8ef-11e8-900c-52daee5a874d"
            "/da31e536c8d61304a6d5998d163d12400a7a9a1003e1d86369e8fadb022fc17d",
            "8:pids 7:blkio 6:perf_event 5:devices 4:freezer 3:rdma:/"
            " 2:cpuset,cpu,cpuacct,memory,net_cls,net_prio,hugetlb 1:name=systemd",
        ),
        "containerd",
        "da31e536c8d61304a6d5998d163d12400a7a9a1003e1d86369e8fadb022fc17d",
        "1fe19bf5-e8ef-11e8-900c-52daee5a874d",
    ),
    Recorded(
        "kube-proxy, which makes a cgroup of its own in its container, v1",
        f"{_NEUVECTOR} TestK8sProxyProcess",
        _each(
            "/kubepods/besteffort/podf8a694f2-7c08-11e9-98da-000c29077430"
            "/c04e0a88a1de067f25bece337d4dbb897396e0b623c2a65330850fc9823f1903/kube-proxy",
            "11:freezer 10:memory 9:pids 8:cpuset 7:cpu,cpuacct 6:devices 5:blkio 4:perf_event 3:hugetlb"
            " 2:net_cls,net_prio 1:name=systemd",
        ),
        "containerd",
        "c04e0a88a1de067f25bece337d4dbb897396e0b623c2a65330850fc9823f1903",
        "f8a694f2-7c08-11e9-98da-000c29077430",
    ),
    Recorded(
        "a guaranteed pod of OpenShift 3, systemd, v1",
        f"{_ELASTIC} testOpenshiftForm (there freezer)",
        "9:memory:/kubepods.slice/kubepods-pod22949dce_fd8b_11ea_8ede_98f2b32c645c.slice"
        "/docker-b15a5bdedd2e7645c3be271364324321b908314e4c77857bbfd32a041148c07f.scope",
        "docker",
        "b15a5bdedd2e7645c3be271364324321b908314e4c77857bbfd32a041148c07f",
        "22949dce-fd8b-11ea-8ede-98f2b32c645c",
    ),
    Recorded(
        "a pod's uid with dashes in a slice, v1",
        f"{_SPIRE}/systemd_cgroups_pid_in_pod.txt",
        _each(
            "/kubepods.slice/kubepods-burstable.slice"
            "/kubepods-burstable-pod2c48913c-b29f-11e7-9350-020968147796.slice"
            "/docker-9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961.scope",
            "11:hugetlb 10:devices 9:pids 8:perf_event 7:net_cls,net_prio 6:cpuset 5:memory 4:cpu,cpuacct"
            " 3:freezer 2:blkio 1:name=systemd",
        ),
        "docker",
        "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961",
        "2c48913c-b29f-11e7-9350-020968147796",
    ),
    Recorded(
        "Docker in Kubernetes on Google's machines, systemd",
        _STACKROX_FACT,
        "9:memory:/kubepods.slice/kubepods-burstable.slice"
        "/kubepods-burstable-podce705797_e47e_11e9_bd71_42010a000002.slice"
        "/docker-6525e65814a99d431b6978e8f8c895013176c6c58173b56639d4b020c14e6022.scope",
        "docker",
        "6525e65814a99d431b6978e8f8c895013176c6c58173b56639d4b020c14e6022",
        "ce705797-e47e-11e9-bd71-42010a000002",
    ),
    Recorded(
        "Docker in Kubernetes on Google's machines, cgroupfs",
        _STACKROX_FACT,
        "9:memory:/kubepods/burstable/pod7cd3dba6-e475-11e9-8f99-42010a8a00d2"
        "/2bc55a8cae1704a733ba5d785d146bbed9610483380507cbf00c96b32bb637e1",
        "containerd",
        "2bc55a8cae1704a733ba5d785d146bbed9610483380507cbf00c96b32bb637e1",
        "7cd3dba6-e475-11e9-8f99-42010a8a00d2",
    ),
    Recorded(
        "Docker Desktop's kubepods in kubepods, v1",
        _STACKROX,
        "12:pids:/kubepods/kubepods/besteffort/pod690705f9-df6e-11e9-8dc5-025000000001"
        "/c3bfd81b7da0be97190a74a7d459f4dfa18f57c88765cde2613af112020a1c4b",
        "containerd",
        "c3bfd81b7da0be97190a74a7d459f4dfa18f57c88765cde2613af112020a1c4b",
        "690705f9-df6e-11e9-8dc5-025000000001",
    ),
    Recorded(
        "Kubernetes 1.5 with drivers that differ: its slices had other names, v1",
        "https://github.com/kubernetes/kubernetes/issues/36807",
        _each(
            "/system.slice/docker.service/BestEffort.slice"
            "/BestEffort-pod0d33f94b_ab1a_11e6_9e1a_68f7281d8004.slice"
            "/0c34bcd7d02f321d0df7aa6ea703285b02abebc9096c5128c14091fc43ea1f3b",
            "11:memory 10:pids",
        ),
        "unknown",
        "0c34bcd7d02f321d0df7aa6ea703285b02abebc9096c5128c14091fc43ea1f3b",
    ),
    Recorded(
        "an id of another form in a pod, v1",
        _ELASTIC_PYTHON,
        "1:name=systemd:/kubepods/besteffort/pode9b90526-f47d-11e8-b2a5-080027b9f4fb"
        "/15aa6e53-b09a-40c7-8558-c6c31e36c88a",
        "unknown",
        "15aa6e53-b09a-40c7-8558-c6c31e36c88a",
        "e9b90526-f47d-11e8-b2a5-080027b9f4fb",
    ),
    Recorded(
        "RKE on RancherOS, v1 (one of its lines)",
        "https://github.com/rancher/os/issues/2967",
        "11:name=systemd:/kubepods/besteffort/pod7e241a28-b013-481e-9e00-cbe6f00b5eaf"
        "/6b5583d73d20fa6da209e4d628a0c27395815f6613cb0a2c7e0e5b64507b210c",
        "containerd",
        "6b5583d73d20fa6da209e4d628a0c27395815f6613cb0a2c7e0e5b64507b210c",
        "7e241a28-b013-481e-9e00-cbe6f00b5eaf",
    ),
    Recorded(
        "a pod's own cgroup, no container's",
        _SPIRE_PATHS,
        "9:memory:/kubepods/pod2732ca68f6358eba7703fb6f82a25c94",
    ),
)

NESTED = (
    Recorded(
        "kind, cgroupfs, hybrid",
        f"{_SPIRE}/cgroups_pid_in_kind_pod.txt",
        _each(
            "/docker/93529524695bb00d91c1f6dba692ea8d3550c3b94fb2463af7bc9ec82f992d26"
            "/kubepods/besteffort/poda2830d0d-b0f0-4ff0-81b5-0ee4e299cf80"
            "/09bc3d7ade839efec32b6bec4ec79d099027a668ddba043083ec21d3c3b8f1e6",
            "13:name=systemd 12:pids 11:hugetlb 10:net_prio 9:perf_event 8:net_cls 7:freezer 6"
            ":devices 5:memory"
            " 4:blkio 3:cpuacct 2:cpu 1:cpuset 0::/docker/"
            "93529524695bb00d91c1f6dba692ea8d3550c3b94fb2463af7bc9ec82f992d26/system.slice"
            "/containerd.service",
        ),
        "containerd",
        "09bc3d7ade839efec32b6bec4ec79d099027a668ddba043083ec21d3c3b8f1e6",
        "a2830d0d-b0f0-4ff0-81b5-0ee4e299cf80",
    ),
    Recorded(
        "kind whose kubelet has a cgroup of its own, hybrid",
        f"{_DD_MAPPER} dindProcCgroup",
        _each(
            "/docker/88ea268ece65a02d68b169fd74bcbcb427eb7f28900db0e3b906fb2eeb7341df/kubelet"
            "/kubepods/burstable/poda5ea884f-9e60-4912-bd62-fef9a31db47a"
            "/a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015e",
            "14:name=systemd 13:rdma:"
            "/ 12:pids 11:hugetlb 10:net_prio 9:perf_event 8:net_cls 7:freezer 6:devices"
            " 5:memory 4:blkio 3:cpuacct 2:cpu 1:cpuset 0::/docker/"
            "88ea268ece65a02d68b169fd74bcbcb427eb7f28900db0e3b906fb2eeb7341df/system.slice"
            "/containerd.service",
        ),
        "containerd",
        "a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015e",
        "a5ea884f-9e60-4912-bd62-fef9a31db47a",
    ),
    Recorded(
        "kind in podman, systemd",
        _STACKROX_FACT,
        "0::/machine.slice/libpod-cbdfa0f1f08763b1963c30d98e11e1f052cb67f1e9b7c0ab8a6ca6c70cbcad69.scope"
        "/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"
        "/kubelet-kubepods-besteffort-pod6eab3b7b_f0a6_4bb8_bff2_d5bc9017c04b.slice"
        "/cri-containerd-5ebf11e02dbde102cda4b76bc0e3849a65f9edac7a12bdabfd34db01b9556101.scope",
        "containerd",
        "5ebf11e02dbde102cda4b76bc0e3849a65f9edac7a12bdabfd34db01b9556101",
        "6eab3b7b-f0a6-4bb8-bff2-d5bc9017c04b",
    ),
    Recorded(
        "minikube in Docker with CRI-O (systemctl status)",
        "https://github.com/kubernetes/minikube/issues/11280",
        "0::/docker/d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22/kubepods.slice"
        "/kubepods-besteffort.slice/kubepods-besteffort-pod2ca4a155_3599_498d_bb9d_4446693fa3ea.slice"
        "/crio-358607a37e7ada357032e7f5729c9ae6a3efdb7962acbcbe47ff6a3c5506cb1c.scope",
        "cri-o",
        "358607a37e7ada357032e7f5729c9ae6a3efdb7962acbcbe47ff6a3c5506cb1c",
        "2ca4a155-3599-498d-bb9d-4446693fa3ea",
    ),
    Recorded(
        "minikube in podman with Docker: a pod in it",
        _DD_READER,
        "9:memory:/libpod_parent/libpod-6dc3fdffbf66b1239d55e98da9aaa759ea51ed35d04eb09d19ebd78963aa26c2"
        "/kubepods.slice/kubepods-burstable.slice"
        "/kubepods-burstable-poda2acd1bccd50fd7790183537181f658e.slice"
        "/docker-1575e8b4a92a9c340a657f3df4ddc0f6a6305c200879f3898b26368ad019b503.scope",
        "docker",
        "1575e8b4a92a9c340a657f3df4ddc0f6a6305c200879f3898b26368ad019b503",
        "a2acd1bccd50fd7790183537181f658e",
    ),
    Recorded(
        "minikube in podman with Docker: a mount unit in it",
        _DD_READER,
        "9:memory:/libpod_parent/libpod-6dc3fdffbf66b1239d55e98da9aaa759ea51ed35d04eb09d19ebd78963aa26c2"
        "/system.slice"
        "/var-lib-docker-containers-1575e8b4a92a9c340a657f3df4ddc0f6a6305c200879f3898b26368ad019b503"
        "-mounts-shm.mount",
        "podman",
        "6dc3fdffbf66b1239d55e98da9aaa759ea51ed35d04eb09d19ebd78963aa26c2",
    ),
    Recorded(
        "Kubernetes on Mesos: its pods are there, Mesos' tasks are not",
        f"{_STACKROX} (there cpuacct,cpu)",
        "8:memory:/mesos/3b1cf944-1d97-40a6-ac73-b156ac2f2bfe/kubepods/besteffort"
        "/pod8e18d5f1-1421-42b7-8151-fb1c3be4bd4d"
        "/e73c55f3e7f5b6a9cfc32a89bf13e44d348bcc4fa7b079f804d61fb1532ddbe5",
        "containerd",
        "e73c55f3e7f5b6a9cfc32a89bf13e44d348bcc4fa7b079f804d61fb1532ddbe5",
        "8e18d5f1-1421-42b7-8151-fb1c3be4bd4d",
    ),
    Recorded(
        "Fargate of EKS: a pod in a task, v1",
        f"{_DD_SECURITY} fargate-eks",
        _each(
            "/ecs/409b8b89ccd746bdb9b5e03418406d96/409b8b89ccd746bdb9b5e03418406d96-3057940393"
            "/kubepods/besteffort/podc00eb3e2-d6c0-4eb6-9e58-fe539629263f"
            "/7022ec9d5774c69f38feddd6460373c4681ef72a4e03bc6f2d374387e9bde981",
            "11:memory 10:perf_event 9:pids 8:cpuset 7:freezer 6:hugetlb 5:devices 4:cpu,cpuacct 3:blkio"
            " 2:net_cls,net_prio 1:name=systemd",
        ),
        "containerd",
        "7022ec9d5774c69f38feddd6460373c4681ef72a4e03bc6f2d374387e9bde981",
        "c00eb3e2-d6c0-4eb6-9e58-fe539629263f",
    ),
)

OTHER_RUNTIMES = (
    Recorded(
        "podman, systemd in the container, hybrid",
        "https://github.com/podman-container-tools/podman/issues/10602",
        _each(
            "/machine.slice/libpod-2521e906f0a0c758c3a7dc4fd68c197e32e96abb4b36807d0b0ede6d014a7c24.scope",
            "12:pids 11:memory 10:blkio 9:devices 8:freezer 7:rdma 6:hugetlb 5:cpu,cpuacct 4:net_cls,net_prio"
            " 3:cpuset 2:perf_event 1:name=systemd:/machine.slice/libpod-"
            "2521e906f0a0c758c3a7dc4fd68c197e32e96abb4b36807d0b0ede6d014a7c24.scope/init.scope",
        ),
        "podman",
        "2521e906f0a0c758c3a7dc4fd68c197e32e96abb4b36807d0b0ede6d014a7c24",
    ),
    Recorded(
        "podman with crun, v2",
        _STACKROX_FACT,
        "0::/machine.slice"
        "/libpod-b6e375cfe46efa5cd90d095603dec2de888c28b203285819233040b5cf1212ac.scope/container",
        "podman",
        "b6e375cfe46efa5cd90d095603dec2de888c28b203285819233040b5cf1212ac",
    ),
    Recorded(
        "podman without root, v2 (a comment in runc)",
        "github.com/opencontainers/runc libcontainer/cgroups/systemd/v2.go (path)",
        "0::/user.slice/user-1001.slice/user@1001.service/user.slice"
        "/libpod-132ff0d72245e6f13a3bbc6cdc5376886897b60ac59eaa8dea1df7ab959cbf1c.scope",
        "podman",
        "132ff0d72245e6f13a3bbc6cdc5376886897b60ac59eaa8dea1df7ab959cbf1c",
    ),
    Recorded(
        "podman run --cgroups=disabled: nothing tells the container, v2",
        "https://github.com/podman-container-tools/podman/issues/20910",
        "0::/user.slice/user-10000.slice/user@10000.service/user.slice/podman-239302.scope\n",
    ),
    Recorded(
        "podman unshare, no container, v2",
        "https://github.com/containers/crun/issues/376",
        "0::/user.slice/user-1000.slice/user@1000.service/user.slice/podman-6696.scope\n",
    ),
    Recorded(
        "ECS with the cluster's name in the path, v1",
        _OTEL_JAVA,
        _each(
            "/ecs/haissam-ecs-classic/5a0d5ceddf6c44c1928d367a815d890f"
            "/38fac3e99302b3622be089dd41e7ccf38aff368a86cc339972075136ee2710ce",
            "9:perf_event 8:memory 7:hugetlb 6:freezer 5:devices 4:cpuset 3:cpuacct 2:cpu 1:blkio",
        ),
        "docker",
        "38fac3e99302b3622be089dd41e7ccf38aff368a86cc339972075136ee2710ce",
    ),
    Recorded(
        "Fargate 1.3, v1",
        _OTEL_JAVA,
        _each(
            "/ecs/55091c13-b8cf-4801-b527-f4601742204d"
            "/432624d2150b349fe35ba397284dea788c2bf66b885d14dfc1569b01890ca7da",
            "11:hugetlb 10:pids 9:cpuset 8:net_cls,net_prio 7:cpu,cpuacct 6:perf_event 5:freezer 4:devices"
            " 3:blkio 2:memory 1:name=systemd",
        ),
        "docker",
        "432624d2150b349fe35ba397284dea788c2bf66b885d14dfc1569b01890ca7da",
    ),
    Recorded(
        "Fargate 1.4, v1",
        f"{_DD_MAPPER} ecsFargateCgroup",
        _each(
            "/ecs/8474ac4cec7a4f488834b00591271ec3/8474ac4cec7a4f488834b00591271ec3-3054012820",
            "11:perf_event 10:hugetlb 9:memory 8:net_cls,net_prio 7:freezer 6:devices 5:cpu,cpuacct 4:blkio"
            " 3:pids 2:cpuset 1:name=systemd",
        ),
        "unknown",
        "8474ac4cec7a4f488834b00591271ec3-3054012820",
    ),
    Recorded(
        "Garden of Cloud Foundry, v1",
        _DD_GO,
        _each(
            "/system.slice/garden.service/garden/6f265890-5165-7fab-6b52-18d1",
            "12:memory 11:rdma:/ 10:freezer:/garden/6f265890-5165-7fab-6b52-18d1 8:pids 6:cpu,cpuacct 3:blkio"
            " 2:devices 1:name=systemd",
        ),
        "unknown",
        "6f265890-5165-7fab-6b52-18d1",
    ),
    Recorded(
        "Garden, an application that uses more than its share (listing of the hierarchy)",
        "github.com/openjdk/jdk test/jdk/.../CgroupV1SubsystemControllerTest.java (path)",
        "9:memory:/system.slice/garden.service/garden/bad/2f57368b-0eda-4e52-64d8-af5c",
        "unknown",
        "2f57368b-0eda-4e52-64d8-af5c",
    ),
    Recorded(
        "Garden, a health check's own container",
        _DD_READER,
        "9:memory:/system.slice/garden.service/garden/c034152c-80b0-4a44-70df-5c61-liveness-healthcheck-0",
        "unknown",
        "c034152c-80b0-4a44-70df-5c61-liveness-healthcheck-0",
    ),
    Recorded(
        "Garden of Concourse, names at the root: not to be told from a host's cgroup, v1",
        "https://github.com/concourse/concourse/issues/3613",
        _each(
            "/0d233f08-00c2-43d8-5b57-2c2af4f5bfc0",
            "12:perf_event 11:hugetlb 10:net_cls,net_prio 9:cpuset 8:devices:/system.slice/runit.service/"
            "0d233f08-00c2-43d8-5b57-2c2af4f5bfc0 7:blkio 6:cpu,cpuacct 5:pids 4:freezer 3:rdma:/ 2:memory"
            " 1:name=systemd:/system.slice/runit.service/0d233f08-00c2-43d8-5b57-2c2af4f5bfc0",
        ),
    ),
    Recorded(
        "plain runc in a session, by the ids that it has, v1",
        "https://github.com/opencontainers/runc/pull/781",
        _each(
            "/user/0.user/5.session/without_cgroupns",
            "13:name=systemd 12:pids:"
            "/without_cgroupns 11:hugetlb 10:net_prio 9:perf_event 8:net_cls 7:freezer"
            " 6:devices 5:memory 4:blkio 3:cpuacct 2:cpu 1:cpuset:/without_cgroupns",
        ),
        "runc",
        "without_cgroupns",
        runc_ids=("without_cgroupns",),
    ),
    Recorded(
        "LXC 4, hybrid",
        "https://github.com/htop-dev/htop/pull/217",
        _each(
            "/lxc.payload/example",
            "11:cpuset 10:devices:/lxc.payload/example"
            "/init.scope 9:net_cls,net_prio 8:blkio 7:perf_event 6:rdma"
            " 5:pids:/lxc.payload/example/init.scope 4:freezer 3:cpu,cpuacct"
            " 2:memory:/lxc.payload/example/init.scope 1:name=systemd:/lxc.payload/example/init.scope"
            " 0::/lxc.payload/example/init.scope",
        ),
        "unknown",
        "example",
    ),
    Recorded(
        "the monitor of an LXC container, hybrid",
        "https://github.com/htop-dev/htop/pull/217",
        _each(
            "/lxc.monitor/example",
            "11:cpuset 10:devices 9:net_cls,net_prio 8:blkio 7:perf_event 6:rdma 5:pids 4:freezer 3"
            ":cpu,cpuacct"
            " 2:memory 1:name=systemd 0:",
        ),
    ),
    Recorded(
        "LXC before 4, v1",
        "https://github.com/draios/sysdig/issues/428",
        _each(
            "/lxc/privileged-container",
            "11:hugetlb 10:perf_event 9:blkio 8:freezer 7:devices 6:memory 5:cpuacct 4:cpu 3:cpuset"
            " 2:name=systemd",
        ),
        "unknown",
        "privileged-container",
    ),
    Recorded(
        "LXC without root on Ubuntu 14.04: nothing tells it from a session, v1",
        "https://github.com/draios/sysdig/issues/428",
        _each(
            "/user/1000.user/2.session/my-container",
            "11:hugetlb 10:perf_event 9:blkio 8:freezer 7:devices 6:memory 5:cpuacct 4:cpu 3:cpuset"
            " 2:name=systemd",
        ),
    ),
    Recorded(
        "systemd-nspawn: a machine, not a container of an image (path with a placeholder for its name)",
        "https://github.com/systemd/systemd/issues/18104",
        "0::/machine.slice/machine-fedora.scope/payload/init.scope",
    ),
    Recorded(
        "Nomad's exec driver: a task on the host's files (listing of the hierarchy)",
        "https://github.com/hashicorp/nomad/issues/23405",
        "0::/nomad.slice/reserve.slice/bd759fed-5e8d-90b4-2110-94d5f79737a8.realtime-gunicorn.scope",
    ),
)

CGROUP_NAMESPACES = (
    Recorded(
        "Docker in a pod, from another pod's cgroup namespace, v2",
        "https://github.com/chaosblade-io/chaosblade/issues/1267 (path in a log)",
        "0::/../../../kubepods-burstable.slice"
        "/kubepods-burstable-poda91e6913_ec33_478f_a1b7_7e06fd239097.slice"
        "/docker-66c9bbe20a402b7742ca1fed0ee197080326ccb06aa70b65e004c57e93651f94.scope",
        "docker",
        "66c9bbe20a402b7742ca1fed0ee197080326ccb06aa70b65e004c57e93651f94",
        "a91e6913-ec33-478f-a1b7-7e06fd239097",
    ),
    Recorded(
        "the same without a slash in front, v2",
        f"{_DD_MAPPER} cgroupV2ProcCgroupNoHost",
        "0::../../../kubepods-burstable.slice"
        "/kubepods-burstable-pod562c01d6_6aba_49fe_ae52_61c40c04eca4.slice"
        "/docker-a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015f.scope",
        "docker",
        "a51a9f7d073f848e7fc59e56e8f11524f330a2175a4ed26327da2dfe0d28015f",
        "562c01d6-6aba-49fe-ae52-61c40c04eca4",
    ),
    Recorded(
        "cgroupfs, from another pod's cgroup namespace, v2",
        _SPIRE_PATHS,
        "0::/../../../burstable/pod095e82d2-713c-467a-a18a-cbb50a075296"
        "/6d1234da0f5aa7fa0ccae4c7d2d109929eb9a81694e6357bcd4547ab3985911b",
        "containerd",
        "6d1234da0f5aa7fa0ccae4c7d2d109929eb9a81694e6357bcd4547ab3985911b",
        "095e82d2-713c-467a-a18a-cbb50a075296",
    ),
    Recorded(
        "the runtime itself, from a container's cgroup namespace, v2",
        f"{_DD_SECURITY} relative-path",
        "0::/../../../../kuberuntime.slice/containerd.service",
    ),
    Recorded(
        "from inside LXC: the own container is the root, hybrid",
        "https://github.com/tailscale/tailscale/issues/1633",
        _each(
            "/",
            "12:freezer 11:rdma 10:cpuset 9:pids 8:blkio 7:devices 6:perf_event 5:net_cls,net_prio 4:memory"
            " 3:hugetlb 2:cpu,cpuacct 1:name=systemd:/init.scope 0::/init.scope",
        ),
    ),
)

HOST = (
    Recorded(
        "PID 1, hybrid",
        f"{_DD_SECURITY} cgroupv1-pid1",
        _each(
            "/init.scope",
            "13:memory 12:hugetlb:/ 11:misc:/ 10:blkio 9:rdma:/ 8:perf_event:/ 7:cpuset:"
            "/ 6:pids 5:cpu,cpuacct"
            " 4:freezer:/ 3:devices 2:net_cls,net_prio:/ 1:name=systemd 0:",
        ),
    ),
    Recorded("PID 1, v2", f"{_DD_SECURITY} cgroupv2-pid1", "0::/init.scope\n"),
    Recorded("a kernel thread, v2", f"{_DD_SECURITY} cgroupv2-empty", "0::/\n"),
    Recorded(
        "a service, hybrid",
        f"{_DD_SECURITY} cgroupv1-systemd-service",
        _each(
            "/system.slice/cups.service",
            "13:memory 12:hugetlb:/ 11:misc:/ 10:blkio 9:rdma:/ 8:perf_event:/ 7:cpuset:"
            "/ 6:pids 5:cpu,cpuacct"
            " 4:freezer:/ 3:devices 2:net_cls,net_prio:/ 1:name=systemd 0:",
        ),
    ),
    Recorded("a service, v2", f"{_DD_SECURITY} cgroupv2-systemd-service", "0::/system.slice/ssh.service\n"),
    Recorded(
        "a session, v2",
        f"{_DD_SECURITY} cgroupv2-systemd-scope",
        "0::/user.slice/user-1000.slice/session-4.scope\n",
    ),
    Recorded(
        "a terminal with a UUID in its name, v1",
        f"{_ELASTIC} testUbuntuCGroup",
        "1:name=systemd:/user.slice/user-1000.slice/user@1000.service/apps.slice"
        "/apps-org.gnome.Terminal.slice/vte-spawn-75bc72bd-6642-4cf5-b62c-0674e11bfc84.scope",
    ),
    Recorded(
        "a session, hybrid",
        "https://github.com/elastic/quark/issues/350",
        _each(
            "/user.slice/user-1000.slice/session-1.scope",
            "12:cpuset:/ 11:hugetlb:/ 10:blkio:/ 9:misc:/ 8:perf_event:/ 7:rdma:/ 6:net_cls,net_prio:/ 5:pids"
            " 4:freezer:/ 3:memory 2:cpu,cpuacct:/ 1:name=systemd 0:",
        ),
    ),
    Recorded(
        "nsenter in a session of Ubuntu 14.04, v1",
        f"{_NEUVECTOR} TestNsEnterProcess",
        _each(
            "/user/1000.user/c2.session",
            "13:name=systemd 12:pids:"
            "/ 11:hugetlb 10:net_prio 9:perf_event 8:net_cls 7:freezer 6:devices 5:memory"
            " 4:blkio 3:cpuacct 2:cpu 1:cpuset:/",
        ),
    ),
    Recorded("the server of k3s, v2", "https://github.com/rancher/k3k/pull/792", "0::/k3s\n"),
    Recorded(
        "the kubelet with dockerd in system.slice, v1",
        "https://github.com/kontena/pharos-cluster/issues/440",
        _each(
            "/system.slice",
            "11:cpuacct,cpu 10:perf_event 9:pids 8:devices 7:blkio 6:memory 5:cpuset 4"
            ":net_prio,net_cls 3:hugetlb"
            " 2:freezer 1:name=systemd",
        ),
    ),
)

TABLE = (
    *CONTAINERD,
    *CRIO,
    *DOCKER,
    *DOCKER_IN_KUBERNETES,
    *NESTED,
    *OTHER_RUNTIMES,
    *CGROUP_NAMESPACES,
    *HOST,
)
