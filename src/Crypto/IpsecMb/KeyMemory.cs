using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Crypto.IpsecMb;

/// <summary>Memory for an expanded key and what is computed with it: at a place that vectors can be loaded from, wiped before it is given back.</summary>
internal sealed unsafe class KeyMemory : SafeHandleZeroOrMinusOneIsInvalid
{
    private const nuint Alignment = 64;
    private readonly nuint _bytes;

    /// <param name="bytes">How many, all zero.</param>
    public KeyMemory(int bytes)
        : base(ownsHandle: true)
    {
        _bytes = (nuint)bytes;
        byte* memory = (byte*)NativeMemory.AlignedAlloc(_bytes, Alignment);
        NativeMemory.Clear(memory, _bytes);
        SetHandle((nint)memory);
    }

    /// <summary>The memory itself: whoever works with it keeps the owner alive.</summary>
    public byte* Raw => (byte*)handle;

    protected override bool ReleaseHandle()
    {
        NativeMemory.Clear((void*)handle, _bytes);
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }
}
