using Xfrmd.Kernel;

namespace Xfrmd.Datapath;

/// <summary>
/// What one worker keeps of an IP-TFS SA that it receives from: payloads that came too early, and a packet begun. All packets of an SA must
/// come through the same worker. Mirrors <c>iptfs_input</c> and <c>__input_process_payload</c>.
/// </summary>
internal sealed class IptfsReceiver
{
    private readonly TimeProvider _time;
    private readonly TimeSpan _dropTime;
    private readonly IptfsAssembler _assembler;
    private readonly (byte[] Bytes, int Length)[] _early;
    private readonly int _window;
    private ulong _expected;
    private readonly Action<XfrmCounter> _count;
    private int _waiting;
    private long _since, _partialSince;

    /// <param name="parameters">The SA's.</param>
    /// <param name="time">For the drop time.</param>
    /// <param name="output">Where whole packets go.</param>
    /// <param name="count">Told of each payload in which something was lost.</param>
    public IptfsReceiver(SaIptfs parameters, TimeProvider time, IptfsOutput output, Action<XfrmCounter> count)
    {
        (_time, _count) = (time, count);
        _dropTime = TimeSpan.FromMicroseconds(parameters.DropTime);
        _assembler = new IptfsAssembler(output);
        _window = parameters.ReorderWindow;
        _early = new (byte[], int)[_window + 1];   // the expected one has a place too, which is always free
        Array.Fill(_early, ([], 0));
    }

    /// <summary>Takes one payload.</summary>
    public void Accept(ReadOnlySpan<byte> payload, ulong sequence)
    {
        if (_window == 0)
        {
            Process(payload, sequence);
            return;
        }
        if (_expected == 0)
        {
            _expected = sequence;
        }
        if (sequence < _expected)
        {
            return;   // given up already: too late
        }
        if (sequence - _expected > (ulong)_window)
        {
            // The window moves: what is missing before it is lost.
            GiveUpBefore(sequence - (ulong)_window);
        }
        if (sequence == _expected)
        {
            Next(payload);
            Release();
            return;
        }
        Store(payload, sequence);
    }

    /// <summary>The drop timer: what has been missing for too long is given up.</summary>
    public void Expire()
    {
        if (_assembler.HasPartial && _time.GetElapsedTime(_partialSince) >= _dropTime)
        {
            _assembler.Forget();
        }
        if (_waiting > 0 && _time.GetElapsedTime(_since) >= _dropTime)
        {
            _assembler.Forget();
            while (_waiting > 0 && _early[Slot(_expected)].Length == 0)
            {
                _expected++;
            }
            Release();
        }
    }

    private int Slot(ulong sequence) => (int)(sequence % (ulong)_early.Length);

    private void Store(ReadOnlySpan<byte> payload, ulong sequence)
    {
        ref (byte[] Bytes, int Length) slot = ref _early[Slot(sequence)];
        if (slot.Bytes.Length < payload.Length)
        {
            slot.Bytes = new byte[payload.Length];
        }
        payload.CopyTo(slot.Bytes);
        if (slot.Length == 0 && _waiting++ == 0)
        {
            _since = _time.GetTimestamp();
        }
        slot.Length = payload.Length;
    }

    private void Release()
    {
        while (_waiting > 0 && _early[Slot(_expected)] is { Length: > 0 } next)
        {
            Free(_expected);
            Next(next.Bytes.AsSpan(0, next.Length));
        }
        if (_waiting > 0)
        {
            _since = _time.GetTimestamp();
        }
    }

    private void GiveUpBefore(ulong sequence)
    {
        while (_expected < sequence)
        {
            if (_waiting == 0)
            {
                _expected = sequence;
                return;
            }
            if (_early[Slot(_expected)] is { Length: > 0 } next)
            {
                Free(_expected);
                Next(next.Bytes.AsSpan(0, next.Length));
            }
            else
            {
                _expected++;
            }
        }
        Release();
    }

    private void Free(ulong sequence)
    {
        _early[Slot(sequence)].Length = 0;
        _waiting--;
    }

    private void Next(ReadOnlySpan<byte> payload) => Process(payload, _expected++);

    private void Process(ReadOnlySpan<byte> payload, ulong sequence)
    {
        bool began = !_assembler.HasPartial;
        if (_assembler.Accept(payload, sequence) is { } lost)
        {
            _count(lost);
        }
        if (began && _assembler.HasPartial)
        {
            _partialSince = _time.GetTimestamp();
        }
    }
}
