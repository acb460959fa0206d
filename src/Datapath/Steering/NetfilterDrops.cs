using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Steering;

/// <summary>What steering's rules drop, as nfnetlink_log tells it: the chains that <see cref="NetfilterDropChain"/> names.</summary>
internal sealed class NetfilterDrops : IDropSource
{
    private const byte HeadersLength = 160;   // IPv6 with some extension headers, and ports
    private const int EPERM = 1, EBUSY = 16;   // both: another program listens (nfulnl_recv_config)
    private readonly NetfilterLog? _log;
    private readonly uint _ownMarks;

    private NetfilterDrops(NetfilterLog? log, uint ownMarks, string? obstacle) => (_log, _ownMarks, Obstacle) = (log, ownMarks, obstacle);

    public string? Obstacle { get; }

    /// <param name="netns">The network namespace.</param>
    /// <param name="options">Whose log group it is.</param>
    /// <param name="rulesLog">The kernel took rules that log.</param>
    public static NetfilterDrops Open(SafeFileHandle netns, SteeringOptions options, bool rulesLog)
    {
        if (!rulesLog)
        {
            return new NetfilterDrops(null, 0, "this kernel's nf_tables cannot log (modprobe nft_log nfnetlink_log)");
        }
        try
        {
            return new NetfilterDrops(NetworkNamespace.Run(netns, () => new NetfilterLog(options.LogGroup, HeadersLength)), options.Marks.Owned, null);
        }
        catch (LinuxException e)
        {
            return new NetfilterDrops(null, 0, e.Errno is EPERM or EBUSY ? $"another program listens to NFLOG group {options.LogGroup}" : "nfnetlink_log: " + e.Message);
        }
    }

    public void Drain(Action<DroppedPacket> tell) => _log?.Drain((prefix, mark, packet) =>
    {
        if (NetfilterDropChain.Find(prefix) is { } chain && FlowDecoder.TryDecodeHeaders(packet.ToArray(), mark & ~_ownMarks, 0, 0, out Flow flow))
        {
            tell(new DroppedPacket(chain.Counter, flow, default, 1) { Beneath = true, Why = chain.Why });
        }
    });

    public void Dispose() => _log?.Dispose();
}
