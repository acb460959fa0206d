using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>char alg_name[64]</c>: the last byte counts as NUL whatever it is.</summary>
[InlineArray(Size)]
public struct XfrmAlgName
{
    private const int Size = 64;
    private byte _first;

    public static XfrmAlgName From(string name)
    {
        XfrmAlgName result = default;
        Encoding.Latin1.GetBytes(name, ((Span<byte>)result)[..(Size - 1)]);
        return result;
    }

    public override readonly string ToString()
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.CreateReadOnlySpan(in _first, Size - 1);
        int end = bytes.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? bytes : bytes[..end]);
    }
}
