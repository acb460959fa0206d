using System.Buffers.Binary;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using Aes = System.Runtime.Intrinsics.X86.Aes;

namespace Xfrmd.Crypto.Hardware;

/// <summary>
/// AES-GCM (NIST SP 800-38D) by the processor's instructions for AES and for products without carry: eight blocks at a time, whose hash is
/// reduced once. No branch and no index depends on the key or on what is encrypted. Why it is there: docs/adr/0003-aes-gcm.md.
/// </summary>
/// <remarks>
/// The hash is reckoned on blocks whose bytes are reversed, with powers of H that have been divided by x once: so a product needs no shift to be
/// in place again (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode").
/// </remarks>
internal sealed class HardwareGcmContext : AeadContext
{
    private const int Block = 16, Group = 8, GroupBytes = Group * Block, MaxRounds = 14;

    // The state: round keys; H^9, H^8 … H; and of each of these the sum of its halves.
    private const int PowersAt = (MaxRounds + 1) * Block, SumsAt = PowersAt + ((Group + 1) * Block), StateSize = SumsAt + ((Group + 1) * Block);
    private const int LastPower = Group;
    private const ulong Polynomial = 0xC200000000000000;
    private readonly byte[] _state = GC.AllocateArray<byte>(StateSize, pinned: true);
    private readonly int _lastKey;
    private bool _disposed;

    public HardwareGcmContext(ReadOnlySpan<byte> key)
    {
        _lastKey = ((key.Length / 4) + 6) * Block;
        ExpandKey(key);
        Vector128<byte> power = DividedByX(Reverse(Encrypt(ref State, _lastKey, Vector128<byte>.Zero)));
        for (int i = LastPower; ; i--)
        {
            power.CopyTo(_state, PowersAt + (i * Block));
            (power ^ Swap(power)).CopyTo(_state, SumsAt + (i * Block));
            if (i == 0)
            {
                break;
            }
            power = Product(power, Load(ref State, PowersAt + (LastPower * Block)));
        }
    }

    ~HardwareGcmContext() => Wipe();

    /// <summary>The processor has the instructions; asked when it runs, ahead-of-time code included.</summary>
    public static bool IsSupported => Aes.IsSupported && Pclmulqdq.IsSupported && Ssse3.IsSupported;

    private ref byte State => ref MemoryMarshal.GetArrayDataReference(_state);

    public override void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, Span<byte> tag)
    {
        Vector128<byte> sum = Run(nonce, aad, moreAad, data, seals: true);
        if (tag.Length == Block)
        {
            sum.CopyTo(tag);
            return;
        }
        Span<byte> whole = stackalloc byte[Block];
        sum.CopyTo(whole);
        whole[..tag.Length].CopyTo(tag);
    }

    public override bool Open(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, ReadOnlySpan<byte> tag)
    {
        Vector128<byte> sum = Run(nonce, aad, moreAad, data, seals: false);
        if (tag.Length == Block)
        {
            return sum == Vector128.Create(tag);
        }
        Span<byte> whole = stackalloc byte[Block];
        sum.CopyTo(whole);
        return ConstantTime.Equals(whole[..tag.Length], tag);
    }

    public override void Dispose()
    {
        Wipe();
        GC.SuppressFinalize(this);
    }

    private void Wipe()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_state);
    }

    /// <summary>FIPS 197 section 5.2.</summary>
    private void ExpandKey(ReadOnlySpan<byte> key)
    {
        Span<uint> words = MemoryMarshal.Cast<byte, uint>(_state.AsSpan(0, _lastKey + Block));
        int length = key.Length / sizeof(uint);
        key.CopyTo(_state);
        uint round = 1;
        for (int i = length; i < words.Length; i++)
        {
            uint word = words[i - 1];
            if (i % length == 0)
            {
                word = Substitute(uint.RotateRight(word, 8)) ^ round;   // in the order of memory: to the right
                round = (round << 1) ^ ((round >> 7) * 0x11B);
            }
            else if (length > 6 && i % length == 4)
            {
                word = Substitute(word);
            }
            words[i] = words[i - length] ^ word;
        }
    }

    /// <summary>SubWord, by an instruction rather than a table.</summary>
    private static uint Substitute(uint word) => Aes.KeygenAssist(Vector128.Create(0, word, 0, 0).AsByte(), 0).AsUInt32().ToScalar();

    /// <summary>Encrypts or decrypts in place; the tag.</summary>
    private Vector128<byte> Run(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, bool seals)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Debug.Assert(nonce.Length == 12 && aad.Length is 8 or 12 && moreAad.IsEmpty, "RFC 4106");
        ref byte state = ref State;
        Vector128<byte> first = Vector128.Create(
            MemoryMarshal.Read<ulong>(nonce), MemoryMarshal.Read<uint>(nonce[sizeof(ulong)..]) | ((ulong)BinaryPrimitives.ReverseEndianness(1) << 32)).AsByte();
        ulong aadEnd = aad.Length == sizeof(ulong) ? 0 : MemoryMarshal.Read<uint>(aad[sizeof(ulong)..]);
        Vector128<byte> hash = Product(Reverse(Vector128.Create(MemoryMarshal.Read<ulong>(aad), aadEnd).AsByte()), Load(ref state, PowersAt + (LastPower * Block)));
        Vector128<byte> mask = Encrypt(ref state, _lastKey, first);
        Vector128<uint> counter = Next(Reverse(first).AsUInt32());
        int left = data.Length;
        ref byte at = ref MemoryMarshal.GetReference(data);
        while (left >= GroupBytes)
        {
            if (!seals)
            {
                hash = HashGroup(ref state, hash, ref at);
            }
            counter = CryptGroup(ref state, _lastKey, counter, ref at);
            if (seals)
            {
                hash = HashGroup(ref state, hash, ref at);
            }
            at = ref Unsafe.Add(ref at, GroupBytes);
            left -= GroupBytes;
        }
        Vector128<byte> lengths = Vector128.Create((ulong)data.Length * 8, (ulong)aad.Length * 8).AsByte();
        return Reverse(End(ref state, counter, hash, lengths, ref at, left, seals)) ^ mask;
    }

    /// <summary>What is left after whole groups, and the block with the lengths: hashed together.</summary>
    private Vector128<byte> End(ref byte state, Vector128<uint> counter, Vector128<byte> hash, Vector128<byte> lengths, ref byte at, int left, bool seals)
    {
        Vector128<byte> low = Vector128<byte>.Zero, middle = Vector128<byte>.Zero, high = Vector128<byte>.Zero;
        int power = LastPower - ((left + Block - 1) / Block);
        for (; left >= Block; left -= Block)
        {
            Vector128<byte> before = Load(ref at, 0), after = before ^ Encrypt(ref state, _lastKey, Reverse(counter.AsByte()));
            after.StoreUnsafe(ref at);
            Accumulate(ref state, power++, Reverse(seals ? after : before) ^ hash, ref low, ref middle, ref high);
            hash = Vector128<byte>.Zero;
            counter = Next(counter);
            at = ref Unsafe.Add(ref at, Block);
        }
        if (left > 0)
        {
            Span<byte> rest = MemoryMarshal.CreateSpan(ref at, left), padded = stackalloc byte[Block];
            padded.Clear();
            rest.CopyTo(padded);
            Vector128<byte> before = Vector128.Create<byte>(padded), after = before ^ Encrypt(ref state, _lastKey, Reverse(counter.AsByte()));
            after.CopyTo(padded);
            padded[..left].CopyTo(rest);
            after &= Vector128.LessThan(Vector128<byte>.Indices, Vector128.Create((byte)left));
            Accumulate(ref state, power++, Reverse(seals ? after : before) ^ hash, ref low, ref middle, ref high);
            hash = Vector128<byte>.Zero;
        }
        Accumulate(ref state, power, lengths ^ hash, ref low, ref middle, ref high);
        return Reduce(low, middle ^ low ^ high, high);
    }

    /// <summary>Adds the key stream of eight blocks; the counter behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> CryptGroup(ref byte state, int lastKey, Vector128<uint> counter, ref byte at)
    {
        Vector128<byte> key = Load(ref state, 0);
        Vector128<byte> b0 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b1 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b2 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b3 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b4 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b5 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b6 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        Vector128<byte> b7 = Reverse(counter.AsByte()) ^ key;
        counter = Next(counter);
        int offset = Block;
        for (; offset < lastKey; offset += Block)
        {
            key = Load(ref state, offset);
            b0 = Aes.Encrypt(b0, key);
            b1 = Aes.Encrypt(b1, key);
            b2 = Aes.Encrypt(b2, key);
            b3 = Aes.Encrypt(b3, key);
            b4 = Aes.Encrypt(b4, key);
            b5 = Aes.Encrypt(b5, key);
            b6 = Aes.Encrypt(b6, key);
            b7 = Aes.Encrypt(b7, key);
        }
        key = Load(ref state, offset);
        Add(ref at, 0, Aes.EncryptLast(b0, key));
        Add(ref at, 1, Aes.EncryptLast(b1, key));
        Add(ref at, 2, Aes.EncryptLast(b2, key));
        Add(ref at, 3, Aes.EncryptLast(b3, key));
        Add(ref at, 4, Aes.EncryptLast(b4, key));
        Add(ref at, 5, Aes.EncryptLast(b5, key));
        Add(ref at, 6, Aes.EncryptLast(b6, key));
        Add(ref at, 7, Aes.EncryptLast(b7, key));
        return counter;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> HashGroup(ref byte state, Vector128<byte> hash, ref byte at)
    {
        Vector128<byte> low = Vector128<byte>.Zero, middle = Vector128<byte>.Zero, high = Vector128<byte>.Zero;
        Accumulate(ref state, 1, Reverse(Load(ref at, 0)) ^ hash, ref low, ref middle, ref high);
        Accumulate(ref state, 2, Reverse(Load(ref at, 1 * Block)), ref low, ref middle, ref high);
        Accumulate(ref state, 3, Reverse(Load(ref at, 2 * Block)), ref low, ref middle, ref high);
        Accumulate(ref state, 4, Reverse(Load(ref at, 3 * Block)), ref low, ref middle, ref high);
        Accumulate(ref state, 5, Reverse(Load(ref at, 4 * Block)), ref low, ref middle, ref high);
        Accumulate(ref state, 6, Reverse(Load(ref at, 5 * Block)), ref low, ref middle, ref high);
        Accumulate(ref state, 7, Reverse(Load(ref at, 6 * Block)), ref low, ref middle, ref high);
        Accumulate(ref state, 8, Reverse(Load(ref at, 7 * Block)), ref low, ref middle, ref high);
        return Reduce(low, middle ^ low ^ high, high);
    }

    /// <summary>Adds the product of a block and a power of H, in three parts (Karatsuba).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Accumulate(ref byte state, int power, Vector128<byte> block, ref Vector128<byte> low, ref Vector128<byte> middle, ref Vector128<byte> high)
    {
        Vector128<byte> h = Load(ref state, PowersAt + (power * Block)), sum = Load(ref state, SumsAt + (power * Block));
        low ^= Times(block, h, 0x00);
        high ^= Times(block, h, 0x11);
        middle ^= Times(block ^ Swap(block), sum, 0x00);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Product(Vector128<byte> a, Vector128<byte> b) =>
        Reduce(Times(a, b, 0x00), Times(a, b, 0x01) ^ Times(a, b, 0x10), Times(a, b, 0x11));

    /// <summary>256 bits modulo the polynomial: the lower half is eliminated 64 bits at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Reduce(Vector128<byte> low, Vector128<byte> middle, Vector128<byte> high)
    {
        Vector128<byte> polynomial = Vector128.Create(Polynomial, 0).AsByte();
        middle ^= Swap(low) ^ Times(low, polynomial, 0x00);
        return high ^ Swap(middle) ^ Times(middle, polynomial, 0x00);
    }

    /// <summary>In reversed blocks the highest bit is the constant term.</summary>
    private static Vector128<byte> DividedByX(Vector128<byte> block)
    {
        ulong low = block.AsUInt64()[0], high = block.AsUInt64()[1], carry = 0 - (high >> 63);
        return Vector128.Create((low << 1) ^ (carry & 1), ((high << 1) | (low >> 63)) ^ (carry & Polynomial)).AsByte();
    }

    private static Vector128<byte> Encrypt(ref byte state, int lastKey, Vector128<byte> block)
    {
        block ^= Load(ref state, 0);
        int offset = Block;
        for (; offset < lastKey; offset += Block)
        {
            block = Aes.Encrypt(block, Load(ref state, offset));
        }
        return Aes.EncryptLast(block, Load(ref state, offset));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(ref byte at, int block, Vector128<byte> stream) => (Load(ref at, block * Block) ^ stream).StoreUnsafe(ref at, (nuint)(block * Block));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Load(ref byte at, int offset) => Vector128.LoadUnsafe(ref at, (nuint)offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Next(Vector128<uint> counter) => counter + Vector128.CreateScalar(1u);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Times(Vector128<byte> a, Vector128<byte> b, [ConstantExpected] byte halves) =>
        Pclmulqdq.CarrylessMultiply(a.AsUInt64(), b.AsUInt64(), halves).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Swap(Vector128<byte> block) => Sse2.Shuffle(block.AsUInt32(), 0x4E).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Reverse(Vector128<byte> block) =>
        Ssse3.Shuffle(block, Vector128.Create((byte)15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}
