namespace Xfrmd.Linux.Packets;

/// <summary>Parts of pinned arrays that one system call writes as one packet: an <c>iovec</c> array that is used again and again.</summary>
public sealed class GatherList(int capacity)
{
    private readonly IoVector[] _vectors = PinnedArray.CreateZeroed<IoVector>(capacity);

    public int Capacity => _vectors.Length;

    public int Count { get; private set; }

    internal unsafe IoVector* Vectors => PinnedArray.Pointer(_vectors);

    public void Clear() => Count = 0;

    public void Add(byte[] pinned, int offset, int length)
    {
        ref IoVector vector = ref _vectors[Count++];
        vector.Base = PinnedArray.AddressOf(pinned, offset, length);
        vector.Length = (nuint)length;
    }
}
