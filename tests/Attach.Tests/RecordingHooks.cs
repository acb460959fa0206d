using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;

namespace Xfrmd.Attach.Tests;

/// <summary>Writes down what it is told; refuses UDP_ENCAP 99 with ENOPROTOOPT.</summary>
public sealed class RecordingHooks : ISocketHooks
{
    public Journal Journal { get; } = new();

    public Errno SetSocketPolicy(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, int level, int name, ReadOnlySpan<byte> value)
    {
        Journal.Add($"policy {level} {name} {value.Length} {(socket is null ? "blind" : "handle")}");
        socket?.Dispose();
        return Errno.None;
    }

    public uint OwnedMark => 0xFF000000;

    public Errno SetSocketMark(XfrmNamespace space, SafeFileHandle socket, ulong socketInode, uint mark)
    {
        Journal.Add($"mark {mark:x}");
        socket.Dispose();
        return Errno.None;
    }

    public Errno SetUdpEncap(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, int name, int value)
    {
        Journal.Add($"encap {name} {value} {(socket is null ? "blind" : "handle")}");
        socket?.Dispose();
        return value == 99 ? Errno.ENOPROTOOPT : Errno.None;
    }

    public void BeforeBind(XfrmNamespace space, ulong socketInode, ReadOnlySpan<byte> address) => Journal.Add("bind " + Convert.ToHexString(address));

    public Errno CreateLink(XfrmNamespace space, string name, uint ifId, out int ifindex)
    {
        Journal.Add($"link {name} {ifId}");
        ifindex = 1;   // every namespace has lo
        return name == "taken" ? Errno.EEXIST : Errno.None;
    }

    public bool DeleteLink(XfrmNamespace space, int ifindex, string name)
    {
        Journal.Add($"unlink {ifindex} {name}");
        return name == "ours";
    }

    public void SessionEnded(XfrmNamespace space, int tgid) => Journal.Add($"end {tgid}");
}
