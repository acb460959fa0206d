using System.Threading.Channels;

namespace Xfrmd.Kernel;

/// <summary>A person's view of the drops of one namespace.</summary>
public sealed class DropWatch : IDisposable
{
    private const int Capacity = 4096;
    private readonly DropLog _log;
    private readonly Channel<DroppedPacket> _channel =
        Channel.CreateBounded<DroppedPacket>(new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });
    private long _leftOut;

    internal DropWatch(DropLog log) => _log = log;

    public ChannelReader<DroppedPacket> Reader => _channel.Reader;

    /// <summary>How many came faster than they were read since this was asked last.</summary>
    public long TakeLeftOut() => Interlocked.Exchange(ref _leftOut, 0);

    public void Dispose() => _log.End(this);

    internal void Add(in DroppedPacket dropped)
    {
        if (!_channel.Writer.TryWrite(dropped))
        {
            Interlocked.Add(ref _leftOut, dropped.Packets);
        }
    }
}
