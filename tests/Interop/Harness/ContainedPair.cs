namespace Xfrmd.Interop.Harness;

/// <summary>Daemons with what a container has: neither CAP_SYS_ADMIN nor CAP_BPF over the machine.</summary>
public sealed class ContainedPair() : ManualPair([Toolbox.Find("setpriv"), "--bounding-set", "-sys_admin,-bpf"])
{
}
