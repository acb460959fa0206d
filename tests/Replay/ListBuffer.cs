using Xfrmd.Kernel;

namespace Xfrmd.Replay;

/// <summary>A program's receive queue as a list.</summary>
/// <param name="capacity">Datagrams that it holds.</param>
public sealed class ListBuffer(int capacity = int.MaxValue) : IReceiveBuffer
{
    private readonly Queue<(byte[] Bytes, ulong Source)> _datagrams = [];

    public int Count => _datagrams.Count;

    public bool IsEmpty => _datagrams.Count == 0;

    public double FullnessWithout(int first) => (double)Math.Max(_datagrams.Count - first, 0) / capacity;

    public bool IsClosed { get; set; }

    public ulong SourceOf(int place, ulong otherwise) => place < _datagrams.Count ? _datagrams.ElementAt(place).Source : otherwise;

    public bool HasRoom(int allocated, int first) => _datagrams.Count - first < capacity;

    public bool Enqueue(ReadOnlySpan<byte> datagram, int allocated)
    {
        _datagrams.Enqueue((datagram.ToArray(), 0));
        return true;
    }

    public bool TryEnqueue(ReadOnlySpan<byte> datagram, ulong source = 0, int allocated = 0)
    {
        if (!HasRoom(allocated, first: 0))
        {
            return false;
        }
        _datagrams.Enqueue((datagram.ToArray(), source));
        return true;
    }

    /// <summary>recv(2): null where nothing waits.</summary>
    public byte[]? Receive(IProtocolSocket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        socket.NoteReceive(0, taken: 1);
        if (!_datagrams.TryDequeue(out (byte[] Bytes, ulong Source) datagram))
        {
            return null;
        }
        socket.OnReceiveSpace();
        return datagram.Bytes;
    }
}
